from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from alerting.evaluate import evaluate
from alerting.models import Alert, AlertRule, Notification, Transition
from metrics.rollup import roll_up_minutes
from projects.models import Project, Recipient
from tests import factories
from tests.alerting.conftest import at, judge, traffic

pytestmark = pytest.mark.django_db


def steps() -> list[tuple[str, str, int]]:
    """Every step of every alert: from, to, and the minute."""
    rows = Transition.objects.order_by("at", "pk").values_list("from_state", "to_state", "at")
    return [(before, after, int((moment - at(0)) / timedelta(minutes=1))) for before, after, moment in rows]


def owed() -> list[tuple[str, str]]:
    return list(Notification.objects.order_by("pk").values_list("reason", "recipient__email"))


def burst(project: Project) -> None:
    """Ten minutes of 20 calls each; from minute 3 to 5 a quarter of them fails."""
    for minute in range(20):
        failed = 5 if 3 <= minute < 6 else 0
        traffic(project, minute, ok=20 - failed, failed=failed)
        judge(minute + 1)


def test_an_error_burst_takes_every_step_once_and_owes_two_messages(
    project: Project, rule: AlertRule, anna: Recipient
) -> None:
    burst(project)
    # Failed of 100 calls in the five minutes to minute 4: 5 of 80; 5: 10 of 100; 6: 15; 7: 15; 8: 15; 9: 10; 10: 5;
    # 11: 0. Above 5 % from minute 4, in the band at minute 10, behind 2 % from minute 11.
    assert steps() == [
        ("ok", "pending", 4),
        ("pending", "firing", 6),
        ("firing", "recovering", 11),
        ("recovering", "ok", 14),
    ]
    assert owed() == [("firing", "anna@example.com"), ("resolved", "anna@example.com")]
    alert = Alert.objects.get()
    assert alert.state == Alert.State.RESOLVED
    assert (alert.opened_at, alert.fired_at, alert.resolved_at) == (at(4), at(6), at(14))
    assert alert.limit == Decimal("0.05")
    assert alert.peak == Decimal("0.15")
    assert alert.value == 0
    assert alert.title.replace("\N{NARROW NO-BREAK SPACE}", " ") == "Error rate above 5 %"
    assert alert.seq == 4


def test_what_a_mail_says_is_remembered_when_it_is_decided(project: Project, rule: AlertRule, anna: Recipient) -> None:
    burst(project)
    facts = Alert.objects.get().facts
    assert facts["firing"] == {
        "at": "2026-11-22T13:06:00+00:00",
        "start": "2026-11-22T13:01:00+00:00",
        "end": "2026-11-22T13:06:00+00:00",
        "value": "0.15",
        "why": "Error rate 15.0\N{NARROW NO-BREAK SPACE}%; the limit is 5\N{NARROW NO-BREAK SPACE}%.",
        "sample": 100,
        "before": "0",
        "requests": "100",
        "errors": "15",
        "unpriced": 0,
        "contributors": [
            {"dimension": "error", "name": "overloaded", "metric": "errors", "value": "15", "share": "1"},
            {"dimension": "feature", "name": "inbox", "metric": "errors", "value": "15", "share": "1"},
            {"dimension": "model", "name": "claude-sonnet-4-5", "metric": "errors", "value": "15", "share": "1"},
        ],
    }
    assert facts["resolved"]["value"] == "0"


def test_evaluating_twice_is_evaluating_once(project: Project, rule: AlertRule, anna: Recipient) -> None:
    for minute in range(8):
        traffic(project, minute, ok=10, failed=10)
        judge(minute + 1)
        assert judge(minute + 1) == 0
    assert [to for _, to, _ in steps()] == ["pending", "firing"]
    assert owed() == [("firing", "anna@example.com")]


def test_a_burst_shorter_than_the_hold_tells_nobody(project: Project, rule: AlertRule, anna: Recipient) -> None:
    rule.window_minutes, rule.for_minutes = 5, 10
    rule.save()
    burst(project)
    assert [(before, to) for before, to, _ in steps()] == [("ok", "pending"), ("pending", "ok")]
    assert owed() == []
    assert Alert.objects.get().fired_at is None


def test_nothing_is_judged_while_nothing_is_rolled_up(project: Project, rule: AlertRule, anna: Recipient) -> None:
    for minute in range(7):
        traffic(project, minute, ok=15, failed=5)
        judge(minute + 1)
    assert Alert.objects.get().state == Alert.State.FIRING
    # Calls go on arriving, all of them good, but the rollup stands still.
    for minute in range(7, 40):
        traffic(project, minute, ok=20)
        evaluate(now=at(minute + 1))
    assert Alert.objects.get().state == Alert.State.FIRING
    assert Alert.objects.get().seq == 2
    # When it runs again, the newest complete window is judged.
    judge(40)
    assert Alert.objects.get().state == Alert.State.RECOVERING


def test_silence_resolves_nothing(project: Project, rule: AlertRule, anna: Recipient) -> None:
    for minute in range(7):
        traffic(project, minute, ok=15, failed=5)
        judge(minute + 1)
    for minute in range(7, 60):
        judge(minute)
    assert Alert.objects.get().state == Alert.State.FIRING


def test_too_few_requests_can_be_an_alert_of_their_own(project: Project, rule: AlertRule, anna: Recipient) -> None:
    rule.no_data = "alert"
    rule.save()
    for minute in range(1, 5):
        judge(minute)
    alert = Alert.objects.get()
    assert alert.state == Alert.State.FIRING
    assert alert.value is None
    assert alert.facts["firing"]["why"] == "Too few requests to say: 0, and the rule asks for 30."


def test_only_the_rules_own_slice_counts(project: Project, rule: AlertRule, anna: Recipient) -> None:
    rule.feature = "search"
    rule.save()
    for minute in range(8):
        traffic(project, minute, failed=20)
        traffic(project, minute, ok=20, feature="search")
        judge(minute + 1)
    assert not Alert.objects.exists()
    rule.refresh_from_db()
    assert rule.last_evaluated_at == at(8)


def test_a_rule_below_a_threshold_remembers_the_lowest_value(project: Project, anna: Recipient) -> None:
    AlertRule.objects.create(
        project=project,
        name="No traffic",
        metric="requests",
        direction="below",
        threshold=Decimal(50),
        recovery_threshold=Decimal(80),
        for_minutes=0,
        keep_firing_minutes=0,
    )
    # Requests in the five minutes to each: 20, 40, 60, 80, 100, then 80, 60, 40, 20, 0, and up again.
    for minute in range(20):
        traffic(project, minute, ok=0 if 5 <= minute < 10 else 20)
        judge(minute + 1)
    assert [(to, minute) for _, to, minute in steps()] == [("firing", 1), ("ok", 4), ("firing", 8), ("ok", 14)]
    assert [alert.peak for alert in Alert.objects.order_by("pk")] == [20, 0]


def test_a_rule_that_cannot_be_judged_is_marked_and_the_others_go_on(
    project: Project, rule: AlertRule, anna: Recipient
) -> None:
    broken = AlertRule.objects.create(
        project=project, name="A gone metric", metric="gone", threshold=Decimal(1), recovery_threshold=Decimal(1)
    )
    for minute in range(7):
        traffic(project, minute, ok=15, failed=5)
        judge(minute + 1)
    broken.refresh_from_db()
    rule.refresh_from_db()
    assert broken.last_error == "There is no metric 'gone'. Choose another one in the rule."
    assert rule.last_error == ""
    assert Alert.objects.get().state == Alert.State.FIRING


def test_a_rule_that_takes_too_long_is_marked_and_keeps_its_state(
    project: Project, rule: AlertRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerting.evaluate.STATEMENT_TIMEOUT_MS", 50)
    traffic(project, 0, ok=20, failed=20)
    roll_up_minutes(now=at(1))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE facet_minute RENAME TO facet_minute_kept")
        cursor.execute("CREATE VIEW facet_minute AS SELECT f.* FROM facet_minute_kept f, pg_sleep(1)")
    evaluate(now=at(1) + timedelta(seconds=5))
    rule.refresh_from_db()
    assert rule.last_error == "The reading took longer than 0.05 s. Narrow the rule."
    assert not Alert.objects.exists()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"threshold": Decimal(6)}, "The rule was changed."),
        ({"window_minutes": 7}, "The rule was changed."),
        ({"enabled": False}, "The rule was switched off."),
    ],
)
def test_a_firing_alert_whose_rule_changes_is_closed_and_that_is_told(
    project: Project, rule: AlertRule, anna: Recipient, change: dict[str, object], why: str
) -> None:
    for minute in range(7):
        traffic(project, minute, ok=15, failed=5)
        judge(minute + 1)
    AlertRule.objects.filter(pk=rule.pk).update(**change)
    judge(7)
    alert = Alert.objects.order_by("pk")[0]
    assert alert.state == Alert.State.RESOLVED
    assert alert.facts["resolved"]["why"] == why
    assert owed() == [("firing", "anna@example.com"), ("resolved", "anna@example.com")]


def test_a_firing_alert_whose_rule_is_deleted_is_closed_and_that_is_told(
    project: Project, rule: AlertRule, anna: Recipient
) -> None:
    for minute in range(7):
        traffic(project, minute, ok=15, failed=5)
        judge(minute + 1)
    rule.delete()
    judge(8)
    assert Alert.objects.get().facts["resolved"]["why"] == "The rule was deleted."
    assert owed() == [("firing", "anna@example.com"), ("resolved", "anna@example.com")]


def test_a_pending_alert_is_closed_without_a_word(project: Project, rule: AlertRule, anna: Recipient) -> None:
    for minute in range(3):
        traffic(project, minute, ok=15, failed=5)
        judge(minute + 1)
    assert Alert.objects.get().state == Alert.State.PENDING
    rule.delete()
    judge(4)
    assert Alert.objects.get().state == Alert.State.RESOLVED
    assert owed() == []


def test_a_new_name_or_new_recipients_do_not_end_an_episode(project: Project, rule: AlertRule, anna: Recipient) -> None:
    for minute in range(7):
        traffic(project, minute, ok=15, failed=5)
        judge(minute + 1)
    rule.name = "Failures"
    rule.save()
    rule.recipients.add(Recipient.objects.create(project=project, email="ben@example.com"))
    judge(8)
    assert Alert.objects.get().state == Alert.State.FIRING


def test_the_chosen_recipients_are_told_and_only_the_active_ones(
    project: Project, rule: AlertRule, anna: Recipient
) -> None:
    ben = Recipient.objects.create(project=project, email="ben@example.com")
    away = Recipient.objects.create(project=project, email="away@example.com", active=False)
    rule.recipients.set([ben, away])
    burst(project)
    assert owed() == [("firing", "ben@example.com"), ("resolved", "ben@example.com")]


def test_nobody_chosen_means_everybody_on_the_list(project: Project, rule: AlertRule, anna: Recipient) -> None:
    Recipient.objects.create(project=project, email="ben@example.com")
    Recipient.objects.create(project=factories.project(), email="stranger@example.com")
    burst(project)
    assert sorted(owed()) == [
        ("firing", "anna@example.com"),
        ("firing", "ben@example.com"),
        ("resolved", "anna@example.com"),
        ("resolved", "ben@example.com"),
    ]


def test_a_short_window_waits_for_calls_that_end_late(project: Project, rule: AlertRule) -> None:
    rule.window_minutes = 1
    rule.save()
    roll_up_minutes(now=at(10))
    evaluate(now=at(10))
    rule.refresh_from_db()
    assert rule.last_evaluated_at == at(9)


def test_latency_and_spend_are_judged_in_their_own_units(project: Project, anna: Recipient) -> None:
    common = {"project": project, "window_minutes": 5, "for_minutes": 0, "keep_firing_minutes": 0}
    AlertRule.objects.create(
        name="Slow", metric="latency_p95", threshold=Decimal(30_000), recovery_threshold=Decimal(25_000), **common
    )
    # Each call costs 600,000 nano-dollars: 100 of them make six cents.
    AlertRule.objects.create(
        name="Dear", metric="spend", threshold=Decimal("0.06"), recovery_threshold=Decimal("0.05"), **common
    )
    traffic(project, 0, ok=100, duration_ms=40_000)
    judge(1)
    slow = Alert.objects.get()
    assert slow.title.replace("\N{NARROW NO-BREAK SPACE}", " ") == "Latency p95 above 30 s"
    assert slow.value is not None
    assert abs(slow.value - 40_000) <= 2_000
    traffic(project, 1, ok=1)
    judge(2)
    dear = Alert.objects.exclude(pk=slow.pk).get()
    assert dear.value == 101 * 600_000
    assert dear.limit == 60_000_000
    assert dear.title == "Spend above $0.06"


def test_an_alert_nobody_understands_does_not_stop_the_others(
    project: Project, rule: AlertRule, anna: Recipient
) -> None:
    Alert.objects.create(
        project=project,
        subject="from elsewhere",
        title="?",
        severity="info",
        state="firing",
        since=at(0),
        opened_at=at(0),
    )
    for minute in range(7):
        traffic(project, minute, ok=15, failed=5)
        judge(minute + 1)
    assert Alert.objects.get(rule=rule).state == Alert.State.FIRING


def test_an_alert_is_not_withheld_because_its_contributors_cannot_be_read(
    project: Project, rule: AlertRule, anna: Recipient
) -> None:
    for minute in range(3):
        traffic(project, minute, ok=15, failed=5)
        judge(minute + 1)
    traffic(project, 3, ok=15, failed=5)
    roll_up_minutes(now=at(4))
    with connection.cursor() as cursor:
        # Only the parts by error are read for the contributors; reading them fails from now on.
        cursor.execute(
            "CREATE FUNCTION broken() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'"
        )
        cursor.execute("ALTER TABLE facet_minute RENAME TO facet_minute_kept")
        cursor.execute(
            "CREATE VIEW facet_minute AS SELECT * FROM facet_minute_kept WHERE facet = 0 OR (facet <> 0 AND broken())"
        )
    evaluate(now=at(4))
    alert = Alert.objects.get()
    assert alert.state == Alert.State.FIRING
    assert "contributors" not in alert.facts["firing"]
    assert owed() == [("firing", "anna@example.com")]
