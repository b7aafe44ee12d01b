"""What people are promised, over generated stories: whoever hears of a beginning hears of its end, once, in order."""

from collections import Counter
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerting.models import Alert, AlertRule, Notification, Transition
from alerting.notify import deliver
from budgets.models import Budget, Threshold
from budgets.spending import status
from projects.models import Project, Recipient
from tests.alerting.conftest import at, judge, traffic

pytestmark = pytest.mark.django_db

# One letter is one minute or one thing that happens to the rule between two.
GOOD, BAD, SILENT, STALL, EDIT, OFF, ON, SEND, JOIN = "gbs.eo1dj"
STORIES = st.text(alphabet=GOOD * 3 + BAD * 3 + SILENT + STALL + EDIT + OFF + ON + SEND + JOIN, max_size=16)


def tell(story: str, project: Project, rule: AlertRule) -> None:
    minute = 0
    for number, what in enumerate(story):
        if what in (GOOD, BAD, SILENT, STALL):
            traffic(project, minute, ok={GOOD: 30, BAD: 10}.get(what, 0), failed=20 if what == BAD else 0)
            minute += 1
            if what != STALL:
                judge(minute)
        elif what == EDIT:
            AlertRule.objects.update(threshold=5 + number)
        elif what in (OFF, ON):
            AlertRule.objects.update(enabled=what == ON)
        elif what == SEND:
            deliver(now=at(minute))
        else:
            Recipient.objects.get_or_create(project=project, email=f"{number}@example.com")
    AlertRule.objects.all().delete()
    judge(minute + 1)
    deliver(now=at(minute + 2))


@given(STORIES)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whoever_hears_of_a_beginning_hears_of_its_end(
    project: Project, rule: AlertRule, anna: Recipient, story: str
) -> None:
    with transaction.atomic():
        mail.outbox.clear()
        AlertRule.objects.filter(pk=rule.pk).update(for_minutes=0, keep_firing_minutes=1, window_minutes=5)
        tell(story, project, rule)
        check()
        transaction.set_rollback(True)


def check() -> None:
    assert not Alert.objects.exclude(state=Alert.State.RESOLVED).exists()
    for alert in Alert.objects.all():
        told = Notification.objects.filter(transition__alert=alert)
        by_reason = {
            reason: Counter(told.filter(reason=reason).values_list("recipient", flat=True))
            for reason in ("firing", "resolved")
        }
        assert by_reason["firing"] == by_reason["resolved"]
        assert all(times == 1 for times in by_reason["firing"].values())
        assert (alert.fired_at is not None) == bool(by_reason["firing"])
        steps = list(Transition.objects.filter(alert=alert).order_by("seq"))
        assert [step.seq for step in steps] == list(range(1, alert.seq + 1))
        assert [step.from_state for step in steps] == ["ok", *(step.to_state for step in steps[:-1])]
        assert steps[-1].to_state == "ok"
    assert set(Notification.objects.values_list("state", flat=True)) <= {"sent"}
    check_mails(mail.outbox)


def check_mails(sent: list[Any]) -> None:
    assert len(sent) == Notification.objects.count()
    begun: set[str] = set()
    for each in sent:
        if "In-Reply-To" in each.extra_headers:
            begun.remove(each.extra_headers["In-Reply-To"])
        else:
            begun.add(each.extra_headers["Message-ID"])
    assert begun == set()


CALL = 600_000  # nano-dollars, of each call
# So many calls in the next quarter of the day, or another amount (in calls, from 40 up), or the pause of a budget.
MONEY = st.lists(
    st.tuples(st.sampled_from(["spend", "spend", "spend", "amount", "pause", "resume"]), st.integers(0, 9))
)


@given(MONEY.filter(lambda story: len(story) <= 10))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_threshold_is_told_once_per_period_and_amount_and_its_end_once(
    project: Project, anna: Recipient, story: list[tuple[str, int]]
) -> None:
    with transaction.atomic():
        mail.outbox.clear()
        budget = Budget.objects.create(project=project, name="Daily", period="day", amount_nanousd=40 * CALL)
        for percent in (50, 100):
            Threshold.objects.create(budget=budget, percent=percent)
        minute, expected = spend(story, project)
        fired = Alert.objects.values_list("facts__budget__percent", "facts__budget__start", "facts__definition__amount")
        assert len(set(fired)) == len(fired)
        assert expected <= {(percent, start) for percent, start, _ in fired}
        Budget.objects.all().delete()
        judge(minute + 1)
        deliver(now=at(minute + 2))
        check()
        transaction.set_rollback(True)


def spend(story: list[tuple[str, int]], project: Project) -> tuple[int, set[tuple[int, str]]]:
    """Live through a story; return its last minute, and every percent and period that was surely reached."""
    minute, expected = 0, set()
    for what, number in story:
        if what == "spend":
            minute += 6 * 60
            traffic(project, minute, ok=4 * number)
            judge(minute + 1)
        elif what == "amount":
            Budget.objects.update(amount_nanousd=(40 + 10 * number) * CALL)
        else:
            Budget.objects.update(active=what == "resume")
        budget = Budget.objects.prefetch_related("thresholds").get()
        if budget.active:
            judge(minute + 1)
            measured = status(budget, at(minute + 1))
            start = measured.period.start.isoformat()
            expected |= {(each.percent, start) for each in budget.thresholds.all() if measured.reached(each.percent)}
    return minute + 1, expected
