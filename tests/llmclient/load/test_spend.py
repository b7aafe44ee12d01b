"""What a run may cost, to the nano-dollar."""

import pytest

from llmclient.load._spend import Purse, UnknownPriceError, cost_of, dollars, next_cent, read_dollars
from llmclient.load._workload import Ask
from llmclient.testing._pricelist import list_price

SONNET = Ask(1, 0.0, "claude-sonnet-5-5", 400, 100, stream=False)
HAIKU = Ask(2, 0.0, "claude-haiku-5-5", 400, 100, stream=True)


def test_the_estimate_adds_up_the_longest_answers() -> None:
    # 400 × 2,000 + 100 × 10,000, and 400 × 100 + 100 × 500.
    assert cost_of([SONNET, HAIKU], list_price) == 1_800_000 + 90_000


def test_a_model_without_a_price_has_no_estimate() -> None:
    with pytest.raises(UnknownPriceError, match="no price is known for claude-next-7"):
        cost_of([SONNET, Ask(2, 0.0, "claude-next-7", 1, 1, stream=False)], list_price)


def test_a_purse_gives_no_more_than_was_agreed() -> None:
    purse = Purse(100)
    assert purse.take(60)
    assert not purse.take(41)
    purse.settle(60, 50)
    assert purse.take(50)
    assert not purse.take(1)
    purse.settle(50, 70)
    assert not purse.take(0)


def test_what_has_no_price_is_not_paid_for_and_without_an_agreement_all_is_free() -> None:
    assert not Purse(100).take(None)
    free = Purse(None)
    assert free.take(None)
    free.settle(5, 10**12)
    assert free.take(10**12)


@pytest.mark.parametrize(
    ("nanousd", "exact", "cent"),
    [
        (0, "$0.00", "$0.00"),
        (1, "$0.000000001", "$0.01"),
        (1_200_000_000, "$1.20", "$1.20"),
        (4_522_000, "$0.004522", "$0.01"),
        (1_234_567_890_000_000, "$1,234,567.89", "$1,234,567.89"),
        (10_000_000_000, "$10.00", "$10.00"),
    ],
)
def test_amounts_are_exact_and_to_the_next_cent(nanousd: int, exact: str, cent: str) -> None:
    assert dollars(nanousd) == exact
    assert next_cent(nanousd) == cent
    assert read_dollars(exact) == nanousd


@pytest.mark.parametrize("text", ["much", "-1", "NaN", "0.0000000001", ""])
def test_an_amount_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no amount of dollars|is no whole number of nano-dollars"):
        read_dollars(text)
