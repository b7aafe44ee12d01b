from datetime import UTC, datetime, timedelta

import pytest

from alerting.evaluate import evaluate
from alerting.models import Alert, Notification
from budgets.models import Budget, Severity, Threshold
from metrics.rollup import roll_up_hours, roll_up_minutes
from projects.models import Project, Recipient
from tests import factories

pytestmark = pytest.mark.django_db

# Each call of the factory costs 600,000 nano-dollars.
CALL = 600_000
DAY = datetime(2026, 11, 22, tzinfo=UTC)


def hour(number: float) -> datetime:
    return DAY + timedelta(hours=number)


def spend(project: Project, at: datetime, calls: int, *, received: datetime | None = None, **overrides: object) -> None:
    events = [factories.event(at + timedelta(milliseconds=10 * n), **overrides) for n in range(calls)]
    factories.stored(project, *events, now=received or at + timedelta(seconds=30))


def judge(now: datetime) -> int:
    roll_up_minutes(now=now)
    roll_up_hours(now=now)
    return evaluate(now=now)


def owed() -> list[tuple[str, int]]:
    """Every message, with the percent it is about."""
    rows = Notification.objects.order_by("pk").values_list("reason", "transition__alert__facts__budget__percent")
    return list(rows)


@pytest.fixture
def budget(project: Project, anna: Recipient) -> Budget:
    """100 calls a day, told at 80 % and at 100 %."""
    made = Budget.objects.create(project=project, name="Daily", period="day", amount_nanousd=100 * CALL)
    Threshold.objects.create(budget=made, percent=80, severity=Severity.WARNING)
    Threshold.objects.create(budget=made, percent=100, severity=Severity.CRITICAL)
    return made


def test_each_threshold_is_told_once_per_period(project: Project, budget: Budget) -> None:
    spend(project, hour(9), 79)
    assert judge(hour(9.1)) == 0
    spend(project, hour(10), 1)
    assert judge(hour(10.1)) == 1
    assert owed() == [("firing", 80)]
    for later in (10.2, 10.3, 11):
        spend(project, hour(later), 1)
        assert judge(hour(later + 0.05)) == 0
    spend(project, hour(12), 30)
    assert judge(hour(12.1)) == 1
    assert owed() == [("firing", 80), ("firing", 100)]
    first, second = Alert.objects.order_by("pk")
    assert first.subject == f"budget:{budget.pk}:80:2026-11-22T00:00:00Z"
    assert [first.limit, first.value, first.severity] == [80 * CALL, 113 * CALL, "warning"]
    assert [second.limit, second.value, second.severity] == [100 * CALL, 113 * CALL, "critical"]


def test_both_thresholds_crossed_at_once_are_both_told(project: Project, budget: Budget) -> None:
    spend(project, hour(9), 250)
    assert judge(hour(9.1)) == 2
    assert owed() == [("firing", 80), ("firing", 100)]


def test_the_end_of_the_period_ends_what_was_told_once_and_with_the_final_sum(project: Project, budget: Budget) -> None:
    spend(project, hour(9), 85)
    judge(hour(9.1))
    spend(project, hour(23.99), 5)
    assert judge(hour(24)) == 0, "the last counted moment still lies in the period"
    assert judge(hour(24.1)) == 1
    assert judge(hour(24.2)) == 0
    assert owed() == [("firing", 80), ("resolved", 80)]
    alert = Alert.objects.get()
    assert alert.state == Alert.State.RESOLVED
    assert alert.facts["resolved"] == {
        "at": hour(24.1).isoformat(),
        "value": str(90 * CALL),
        "why": "The period is over.",
        "unpriced": 0,
        "estimated": "0",
        "requests": "90",
    }


def test_the_end_of_a_period_waits_for_its_final_sum(project: Project, budget: Budget) -> None:
    spend(project, hour(9), 85)
    judge(hour(9.1))
    spend(project, hour(10), 5)
    roll_up_minutes(now=hour(24.1))
    assert evaluate(now=hour(24.1)) == 0, "the minutes are complete, the hours that the day is read from are not"
    roll_up_hours(now=hour(24.2))
    assert evaluate(now=hour(24.2)) == 1
    assert Alert.objects.get().facts["resolved"]["value"] == str(90 * CALL)


def test_a_new_period_is_told_anew(project: Project, budget: Budget) -> None:
    spend(project, hour(9), 85)
    judge(hour(9.1))
    judge(hour(24.1))
    spend(project, hour(33), 85)
    judge(hour(33.1))
    assert owed() == [("firing", 80), ("resolved", 80), ("firing", 80)]


def test_late_calls_never_fire_for_a_closed_period(project: Project, budget: Budget) -> None:
    spend(project, hour(9), 70)
    judge(hour(9.1))
    judge(hour(24.1))
    spend(project, hour(23), 60, received=hour(24.2))
    assert judge(hour(24.3)) == 0
    assert owed() == []


def test_a_raised_limit_resolves_and_arms_the_threshold_again(project: Project, budget: Budget) -> None:
    spend(project, hour(9), 90)
    judge(hour(9.1))
    budget.amount_nanousd = 200 * CALL
    budget.save()
    assert judge(hour(9.2)) == 1
    assert judge(hour(9.3)) == 0
    assert owed() == [("firing", 80), ("resolved", 80)]
    spend(project, hour(10), 70)
    assert judge(hour(10.1)) == 1
    assert owed() == [("firing", 80), ("resolved", 80), ("firing", 80)]
    assert Alert.objects.latest("pk").limit == 160 * CALL


def test_a_limit_raised_too_little_goes_on_under_the_new_one(project: Project, budget: Budget) -> None:
    spend(project, hour(9), 90)
    judge(hour(9.1))
    budget.amount_nanousd = 110 * CALL
    budget.save()
    assert judge(hour(9.2)) == 0
    assert owed() == [("firing", 80)]
    alert = Alert.objects.get()
    assert [alert.state, alert.limit] == [Alert.State.FIRING, 88 * CALL]
    assert alert.facts["firing"]["value"] == str(90 * CALL)


def test_a_sum_that_is_corrected_back_and_forth_is_told_once(project: Project, budget: Budget) -> None:
    spend(project, hour(9), 80)
    judge(hour(9.1))
    Alert.objects.update(state=Alert.State.RESOLVED, resolved_at=hour(9.2))
    assert judge(hour(9.3)) == 0
    assert owed() == [("firing", 80)]


def test_a_crossing_is_certain_before_everything_is_counted(project: Project, budget: Budget) -> None:
    spend(project, hour(9), 85)
    judge(hour(9.1))
    Budget.objects.update(amount_nanousd=1_000 * CALL)
    # A late call of this night is in the minutes and not yet in the hours: that the spend is below the limit is not
    # believed.
    spend(project, hour(3), 1, received=hour(9.2))
    roll_up_minutes(now=hour(9.25))
    assert evaluate(now=hour(9.3)) == 0
    assert Alert.objects.get().state == Alert.State.FIRING
    judge(hour(9.4))
    assert Alert.objects.get().state == Alert.State.RESOLVED


@pytest.mark.parametrize("end", ["pause", "delete threshold", "delete budget", "another feature"])
def test_a_budget_that_is_no_more_is_told_to_be_over(project: Project, budget: Budget, end: str) -> None:
    spend(project, hour(9), 85)
    judge(hour(9.1))
    if end == "pause":
        Budget.objects.update(active=False)
    elif end == "delete threshold":
        Threshold.objects.filter(percent=80).delete()
    elif end == "delete budget":
        budget.delete()
    else:
        Budget.objects.update(feature="search")
    assert judge(hour(9.2)) == 1
    assert (
        Alert.objects.get().facts["resolved"]["why"]
        == {
            "pause": "The budget was paused.",
            "delete threshold": "The threshold was deleted.",
            "delete budget": "The threshold was deleted.",
            "another feature": "The budget was changed.",
        }[end]
    )
    assert owed() == [("firing", 80), ("resolved", 80)]


def test_a_budget_of_one_feature_and_environment_counts_only_those(project: Project, budget: Budget) -> None:
    Budget.objects.update(feature="search", environment="production")
    spend(project, hour(9), 200)
    spend(project, hour(9), 79, feature="search")
    events = [factories.event(hour(9), feature="search") for _ in range(50)]
    factories.stored(project, *events, environment="staging", now=hour(9.01))
    assert judge(hour(9.1)) == 0
    spend(project, hour(9.2), 1, feature="search")
    assert judge(hour(9.3)) == 1


def test_a_day_in_another_zone_begins_there(project: Project, budget: Budget) -> None:
    Budget.objects.update(zone="America/New_York")
    spend(project, hour(4.5), 50)  # 23:30 of the day before, in New York
    spend(project, hour(5.5), 50)
    assert judge(hour(6)) == 0
    spend(project, hour(6.1), 30)
    assert judge(hour(6.2)) == 1
    assert Alert.objects.get().subject == f"budget:{budget.pk}:80:2026-11-22T05:00:00Z"


def test_the_largest_parts_and_what_has_no_price_are_remembered(project: Project, budget: Budget) -> None:
    spend(project, hour(9), 60)
    spend(project, hour(9), 30, feature="search")
    spend(project, hour(9), 3, model="mystery-1", model_requested="mystery-1")
    judge(hour(9.1))
    told = Alert.objects.get(facts__budget__percent=80).facts["firing"]
    assert told["unpriced"] == 3
    # Of a family nobody knows: 300 tokens in and 60 out at the dearest price of all.
    assert int(told["estimated"]) > 3 * CALL
    assert int(told["value"]) == 90 * CALL + int(told["estimated"])
    assert told["requests"] == "93"
    assert told["contributors"] == [
        {"dimension": "feature", "name": "inbox", "metric": "spend", "value": str(60 * CALL), "share": "0.666667"},
        {"dimension": "feature", "name": "search", "metric": "spend", "value": str(30 * CALL), "share": "0.333333"},
        {
            "dimension": "model",
            "name": "claude-sonnet-4-5-20250929",
            "metric": "spend",
            "value": str(90 * CALL),
            "share": "1",
        },
    ]


def test_a_budget_that_cannot_be_measured_does_not_stop_the_others(project: Project, budget: Budget) -> None:
    broken = Budget.objects.create(project=project, name="Broken", period="day", zone="Not/AZone", amount_nanousd=1)
    Threshold.objects.create(budget=broken, percent=80)
    spend(project, hour(9), 85)
    assert judge(hour(9.1)) == 1
