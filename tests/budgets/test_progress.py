from datetime import UTC, datetime

import pytest

from budgets import progress
from budgets.models import Budget, Threshold
from budgets.periods import Period
from budgets.spending import BudgetStatus
from tests import factories

DOLLAR = 1_000_000_000
DAY = Period(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))


def used(dollars: int, unpriced: int = 0, estimated: int = 0) -> BudgetStatus:
    """So many dollars of $100, and an estimate in nano-dollars."""
    return BudgetStatus(dollars * DOLLAR, estimated, 100 * DOLLAR, DAY, DAY.start, requests=1, unpriced=unpriced)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("dollars", "word"), [(0, "ok"), (49, "ok"), (50, "at 50 %"), (79, "at 50 %"), (80, "at 80 %"), (100, "over")]
)
def test_the_highest_threshold_that_is_reached_decides_the_word(dollars: int, word: str) -> None:
    budget = Budget.objects.create(project=factories.project(), name="Daily", amount_nanousd=100 * DOLLAR)
    for percent in (80, 50):
        Threshold.objects.create(budget=budget, percent=percent)
    assert progress.word(budget, used(dollars)).replace("\N{NARROW NO-BREAK SPACE}", " ") == word


def test_a_paused_budget_says_so() -> None:
    assert progress.word(Budget(active=False), used(500)) == "paused"


@pytest.mark.parametrize(
    ("unpriced", "estimated", "sentence"),
    [
        (0, 0, "$41.00 of $100.00"),
        (1, 20_000_000, "$41.02 of $100.00, of it about $0.02 for 1 call without a known price"),
        (1200, 3 * DOLLAR, "$44.00 of $100.00, of it about $3.00 for 1,200 calls without a known price"),
    ],
)
def test_the_sentence_says_what_is_not_known_exactly(unpriced: int, estimated: int, sentence: str) -> None:
    assert progress.sentence(used(41, unpriced, estimated)) == sentence


def test_an_estimate_counts_against_the_amount() -> None:
    assert not used(99).reached(100)
    assert used(99, unpriced=1, estimated=DOLLAR).reached(100)


@pytest.mark.parametrize(("dollars", "filled"), [(0, 0), (50, 60), (100, 120), (900, 120)])
def test_the_bar_is_as_long_as_the_share_and_never_longer_than_whole(dollars: int, filled: int) -> None:
    bar = progress.bar(used(dollars))
    assert f'<rect width="{filled}" height="10" rx="2" fill="#' in bar
    assert "style=" not in bar
