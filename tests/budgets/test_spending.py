from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from budgets.models import Budget
from budgets.periods import Period
from budgets.spending import status, status_in, statuses
from metrics.rollup import roll_up_hours, roll_up_minutes
from projects.models import Project
from tests import factories

pytestmark = pytest.mark.django_db

CALL = 600_000  # nano-dollars, of each call the factory makes
NOW = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)


@pytest.fixture
def project() -> Project:
    return factories.project("demo")


def budget(project: Project, **fields: object) -> Budget:
    made = {"name": f"Budget {Budget.objects.count()}", "period": "day", "amount_nanousd": 100 * CALL} | fields
    return Budget.objects.create(project=project, **made)


def calls(project: Project, number: int, at: datetime = NOW, environment: str = "production", **fields: object) -> None:
    events = [factories.event(at - timedelta(milliseconds=n + 1), **fields) for n in range(number)]
    factories.stored(project, *events, environment=environment, now=at)


def roll_up(now: datetime = NOW) -> None:
    roll_up_minutes(now=now)
    roll_up_hours(now=now)


def test_a_budget_knows_what_is_spent_of_it(project: Project) -> None:
    calls(project, 40)
    roll_up()
    measured = status(budget(project), NOW)
    assert measured.spent_nanousd == 40 * CALL
    assert measured.share == Fraction(2, 5)
    assert measured.period == Period(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))
    assert measured.complete_to == NOW
    assert (measured.requests, measured.unpriced) == (40, 0)
    assert measured.reached(40)
    assert not measured.reached(41)


def test_calls_before_the_period_do_not_count(project: Project) -> None:
    calls(project, 5, at=datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC))
    calls(project, 3, at=datetime(2026, 11, 22, 0, 0, 1, tzinfo=UTC))
    roll_up()
    assert status(budget(project), NOW).spent_nanousd == 3 * CALL


def test_a_slice_counts_its_own_calls_only(project: Project) -> None:
    calls(project, 1, feature="chat")
    calls(project, 2, feature="search")
    calls(project, 4, feature="chat", environment="staging")
    calls(factories.project(), 8, feature="chat")
    roll_up()
    budgets = {
        (environment, feature): budget(project, environment=environment, feature=feature)
        for environment in ("", "production", "staging", "nowhere")
        for feature in ("", "chat", "search", "nothing")
    }
    measured = statuses(budgets.values(), NOW)
    spent = {key: measured[each.pk].spent_nanousd // CALL for key, each in budgets.items()}
    assert spent == {
        ("", ""): 7,
        ("", "chat"): 5,
        ("", "search"): 2,
        ("", "nothing"): 0,
        ("production", ""): 3,
        ("production", "chat"): 1,
        ("production", "search"): 2,
        ("production", "nothing"): 0,
        ("staging", ""): 4,
        ("staging", "chat"): 4,
        ("staging", "search"): 0,
        ("staging", "nothing"): 0,
        ("nowhere", ""): 0,
        ("nowhere", "chat"): 0,
        ("nowhere", "search"): 0,
        ("nowhere", "nothing"): 0,
    }
    # Measured together or alone: the same.
    assert all(status(each, NOW) == measured[each.pk] for each in budgets.values())


def test_calls_without_a_price_are_counted_beside_the_sum(project: Project) -> None:
    calls(project, 2)
    calls(project, 3, model="mystery-1", model_requested="mystery-1", feature="chat")
    roll_up()
    whole, chat = budget(project), budget(project, feature="chat")
    measured = statuses([whole, chat], NOW)
    assert (measured[whole.pk].spent_nanousd, measured[whole.pk].unpriced) == (2 * CALL, 3)
    assert (measured[chat.pk].spent_nanousd, measured[chat.pk].unpriced) == (0, 3)


def test_a_month_that_goes_on_for_days_is_measured_for_a_feature_with_calls_of_unknown_cost(project: Project) -> None:
    calls(project, 2, feature="chat")
    calls(project, 3, model="claude-haiku-9", model_requested="claude-haiku-9", feature="chat")
    roll_up()
    measured = status(budget(project, period="month", feature="chat"), NOW)
    assert (measured.spent_nanousd, measured.unpriced) == (2 * CALL, 3)
    # 300 tokens in and 60 out at the price of Haiku 4.5.
    assert measured.estimated_nanousd == 300 * 1_000 + 60 * 5_000


def test_a_sum_says_how_complete_it_is(project: Project) -> None:
    calls(project, 2, at=NOW - timedelta(minutes=1))
    measured = status(budget(project), NOW)
    assert measured.complete_to == NOW - timedelta(minutes=1)


def test_a_period_that_is_over_can_still_be_measured(project: Project) -> None:
    calls(project, 5)
    roll_up()
    later = NOW + timedelta(days=2)
    roll_up(later)
    made = budget(project)
    assert status(made, later).spent_nanousd == 0
    assert status_in(made, status(made, NOW).period, later).spent_nanousd == 5 * CALL
    assert statuses([made], later, at=NOW)[made.pk].spent_nanousd == 5 * CALL


def test_many_features_are_measured_with_as_many_queries_as_a_few(project: Project) -> None:
    for feature in range(12):
        calls(project, 1, feature=f"feature-{feature}")
    roll_up()
    made = [budget(project, feature=f"feature-{feature}") for feature in range(12)]
    with CaptureQueriesContext(connection) as few:
        statuses(made[:2], NOW)
    with CaptureQueriesContext(connection) as many:
        measured = statuses(made, NOW)
    assert len(many) == len(few)
    assert [measured[each.pk].spent_nanousd for each in made] == [CALL] * 12
