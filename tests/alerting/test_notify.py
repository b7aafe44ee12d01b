from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from alerting import notify
from alerting.models import Alert, AlertRule, Notification, Transition
from alerting.notify import LEASE, MOST_TRIES, deliver, wait_after
from budgets.models import Budget, Threshold
from projects.models import Project, Recipient
from tests.alerting.conftest import MailServer, at, judge, traffic

pytestmark = pytest.mark.django_db

NOW = at(30)


def message(project: Project, to: Recipient, *, reason: str = "firing", minute: int = 6) -> Notification:
    """A message owed for a step of an alert of its own, or the end of the alert that is there."""
    alert = Alert.objects.filter(project=project).first() if reason == "resolved" else None
    told = {"at": at(minute).isoformat(), "start": at(1).isoformat(), "end": at(minute).isoformat()}
    if alert is None:
        alert = Alert.objects.create(
            project=project,
            subject=f"rule:{Alert.objects.count() + 1}",
            title="Error rate above 5 %",
            severity="critical",
            state="firing",
            seq=1,
            since=at(minute),
            opened_at=at(4),
            fired_at=at(minute),
            facts={
                "kind": "rule",
                "scope": {"environment": "", "feature": ""},
                "rule": {
                    "id": 1,
                    "name": "Many requests fail",
                    "metric": "error_rate",
                    "direction": "above",
                    "threshold": "0.05",
                    "recovery": "0.02",
                    "window_minutes": 5,
                    "for_minutes": 2,
                },
                "firing": told | {"value": "0.15", "requests": "100", "errors": "15"},
                "resolved": told | {"value": "0", "why": ""},
            },
        )
    seq = Transition.objects.filter(alert=alert).count() + 1
    step = Transition.objects.create(alert=alert, seq=seq, at=at(minute), from_state="ok", to_state=reason, why="")
    return owe(step, to, reason)


def owe(step: Transition, to: Recipient, reason: str = "firing") -> Notification:
    return Notification.objects.create(
        transition=step,
        recipient=to,
        reason=reason,
        key=f"alert-{step.alert_id}-{step.seq}-{reason}-{to.pk}",
        created_at=step.at,
        available_at=step.at,
    )


def state_of(notification: Notification) -> tuple[str, int, str]:
    notification.refresh_from_db()
    return notification.state, notification.tries, notification.last_error


def test_an_error_burst_is_two_mails_to_a_real_server(
    project: Project, rule: AlertRule, anna: Recipient, mail_server: MailServer
) -> None:
    for minute in range(20):
        failed = 5 if 3 <= minute < 6 else 0
        traffic(project, minute, ok=20 - failed, failed=failed)
        judge(minute + 1)
        deliver(now=at(minute + 1) + timedelta(seconds=10))
    assert mail_server.subjects == [
        "[FIRING · critical] Error rate 15.0 % over 5 % — Demo",
        "[RESOLVED · 8 min] Error rate 0 % — Demo",
    ]
    firing, resolved = mail_server.received
    assert firing["To"] == resolved["To"] == "anna@example.com"
    assert firing["From"] == "LLM Vitals <vitals@example.com>"
    assert firing["Auto-Submitted"] == "auto-generated"
    assert firing["In-Reply-To"] is None
    assert resolved["In-Reply-To"] == resolved["References"] == firing["Message-ID"]
    assert firing["Message-ID"] == f"<{Notification.objects.get(reason='firing').key}@example.com>"
    assert [part.get_content_type() for part in firing.iter_parts()] == ["text/plain", "text/html"]
    text = firing.get_body(("plain",))
    assert text is not None
    assert "15 of 100 requests got no answer in the 5 minutes to 13:06 UTC." in text.get_content()


def test_a_budget_crossing_is_two_mails_to_a_real_server(
    project: Project, anna: Recipient, mail_server: MailServer
) -> None:
    budget = Budget.objects.create(project=project, name="Daily", period="day", amount_nanousd=60_000_000)
    Threshold.objects.create(budget=budget, percent=100, severity="critical")
    for minute in range(10):
        traffic(project, minute, ok=15)
        judge(minute + 1)
        deliver(now=at(minute + 1) + timedelta(seconds=10))
    for minute in (11 * 60 + 1, 11 * 60 + 2):  # after midnight
        judge(minute)
        deliver(now=at(minute))
    assert mail_server.subjects == [
        "[FIRING · critical] Budget Daily: 105.0 % of $0.06 spent — Demo",
        "[RESOLVED · 10 h 54 min] Budget Daily: $0.09 of $0.06 spent — Demo",
    ]


def test_a_batch_goes_over_one_connection(project: Project, anna: Recipient, mail_server: MailServer) -> None:
    first = message(project, anna)
    for name in ("ben", "cem"):
        owe(first.transition, Recipient.objects.create(project=project, email=f"{name}@example.com"))
    assert deliver(now=NOW) == 3
    assert mail_server.connections == 1
    assert [mail["To"] for mail in mail_server.received] == ["anna@example.com", "ben@example.com", "cem@example.com"]


def test_more_than_a_batch_is_delivered_in_one_run(project: Project, anna: Recipient, mail_server: MailServer) -> None:
    for _ in range(notify.BATCH + 1):
        message(project, anna)
    assert deliver(now=NOW) == notify.BATCH + 1


def test_nothing_is_sent_twice(project: Project, anna: Recipient, mail_server: MailServer) -> None:
    message(project, anna)
    assert [deliver(now=NOW), deliver(now=NOW), deliver(now=NOW + timedelta(days=1))] == [1, 0, 0]
    sent = Notification.objects.get()
    assert (sent.state, sent.sent_at, sent.lease_until) == (Notification.State.SENT, NOW, None)


def test_nothing_is_sent_before_its_time(project: Project, anna: Recipient, mail_server: MailServer) -> None:
    message(project, anna, minute=31)
    assert deliver(now=NOW) == 0
    assert deliver(now=at(31)) == 1


def test_a_server_that_is_down_loses_nothing(project: Project, anna: Recipient, mail_server: MailServer) -> None:
    first, second = message(project, anna), message(project, anna)
    mail_server.stop()
    assert deliver(now=NOW) == 0
    for each in (first, second):
        state, tries, error = state_of(each)
        assert (state, tries) == ("waiting", 1)
        assert error.startswith("The mail server cannot be reached: ")
        assert each.available_at == NOW + timedelta(seconds=5)
    mail_server.start()
    assert deliver(now=NOW + timedelta(seconds=4)) == 0
    assert deliver(now=NOW + timedelta(seconds=5)) == 2
    assert len(mail_server.received) == 2


def test_beginning_and_end_that_waited_together_arrive_in_order(
    project: Project, anna: Recipient, mail_server: MailServer
) -> None:
    message(project, anna)
    message(project, anna, reason="resolved", minute=14)
    mail_server.stop()
    assert deliver(now=NOW) == 0
    assert list(Notification.objects.order_by("pk").values_list("tries", flat=True)) == [1, 0]
    mail_server.start()
    assert deliver(now=NOW + timedelta(hours=6)) == 2
    assert [subject[:9] for subject in mail_server.subjects] == ["[FIRING ·", "[RESOLVED"]


def test_a_refused_recipient_is_given_up_and_the_others_are_served(
    project: Project, anna: Recipient, mail_server: MailServer
) -> None:
    mail_server.refused["anna@example.com"] = "550 no such person"
    first = message(project, anna)
    ben = owe(first.transition, Recipient.objects.create(project=project, email="ben@example.com"))
    end = message(project, anna, reason="resolved", minute=14)
    assert deliver(now=NOW) == 1
    assert state_of(first) == ("dead", 1, "The mail server answered 550 no such person")
    assert state_of(ben) == ("sent", 1, "")
    # She never heard of the beginning, so she is not told of the end.
    assert deliver(now=NOW) == 0
    assert state_of(end) == ("dead", 0, "The message that it began was never delivered.")


def test_not_now_is_not_never(project: Project, anna: Recipient, mail_server: MailServer) -> None:
    mail_server.refused["anna@example.com"] = "450 mailbox busy"
    owed = message(project, anna)
    assert deliver(now=NOW) == 0
    assert state_of(owed) == ("waiting", 1, "The mail server answered 450 mailbox busy")
    mail_server.refused.clear()
    mail_server.answers.append("451 try again")
    assert deliver(now=NOW + timedelta(seconds=5)) == 0
    assert state_of(owed) == ("waiting", 2, "The mail server answered 451 try again")
    assert deliver(now=NOW + timedelta(seconds=15)) == 1
    assert state_of(owed) == ("sent", 3, "")


def test_a_message_the_server_will_never_take_is_given_up(
    project: Project, anna: Recipient, mail_server: MailServer
) -> None:
    mail_server.answers.append("554 looks like spam")
    owed = message(project, anna)
    assert deliver(now=NOW) == 0
    assert state_of(owed) == ("dead", 1, "The mail server answered 554 looks like spam")


def test_after_a_day_of_tries_a_message_is_given_up(project: Project, anna: Recipient, mail_server: MailServer) -> None:
    mail_server.stop()
    owed = message(project, anna)
    Notification.objects.update(tries=MOST_TRIES - 1)
    deliver(now=NOW)
    assert state_of(owed)[:2] == ("dead", MOST_TRIES)
    assert sum((wait_after(tries) for tries in range(1, MOST_TRIES)), timedelta()) > timedelta(hours=22)


@pytest.mark.parametrize(("tries", "seconds"), [(1, 5), (2, 10), (3, 20), (7, 320), (8, 640), (9, 900), (100, 900)])
def test_waits_double_up_to_a_quarter_of_an_hour(tries: int, seconds: int) -> None:
    assert wait_after(tries) == timedelta(seconds=seconds)


def test_a_recipient_switched_off_gets_nothing(project: Project, anna: Recipient, mail_server: MailServer) -> None:
    owed = message(project, anna)
    Recipient.objects.update(active=False)
    assert deliver(now=NOW) == 0
    assert state_of(owed) == ("dead", 1, "The recipient is switched off.")
    assert mail_server.received == []


def test_a_message_that_cannot_be_written_does_not_stop_the_others(
    project: Project, anna: Recipient, mail_server: MailServer
) -> None:
    broken, fine = message(project, anna), message(project, anna)
    Alert.objects.filter(pk=broken.transition.alert_id).update(facts={"kind": "rule"})
    assert deliver(now=NOW) == 1
    assert state_of(broken) == ("waiting", 1, "The message could not be written: KeyError('rule')")
    assert state_of(fine) == ("sent", 1, "")


def test_a_sender_that_no_mail_can_have_is_told_and_tried_again(
    project: Project, anna: Recipient, mail_server: MailServer, settings: Any
) -> None:
    settings.DEFAULT_FROM_EMAIL = "vitals@example.com\nBcc: eve@example.com"
    owed = message(project, anna)
    assert deliver(now=NOW) == 0
    state, tries, error = state_of(owed)
    assert (state, tries) == ("waiting", 1)
    assert error.startswith("The mail could not be made: ")
    assert mail_server.received == []


def test_a_leased_message_is_left_alone_until_the_lease_runs_out(
    project: Project, anna: Recipient, mail_server: MailServer
) -> None:
    message(project, anna)
    Notification.objects.update(lease_until=NOW + LEASE, tries=1)
    assert deliver(now=NOW + LEASE - timedelta(seconds=1)) == 0
    assert deliver(now=NOW + LEASE) == 1


def test_without_a_mail_server_mails_are_files(project: Project, anna: Recipient, settings: Any, tmp_path: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mails")
    message(project, anna)
    assert deliver(now=NOW) == 1
    (file,) = (tmp_path / "mails").iterdir()
    assert b"Auto-Submitted: auto-generated" in file.read_bytes()


def test_a_letter_keeps_its_key_over_all_tries(project: Project, anna: Recipient, mail_server: MailServer) -> None:
    owed = message(project, anna)
    letter = notify._letter(owed)
    Notification.objects.update(tries=7)
    owed.refresh_from_db()
    assert notify._letter(owed) == replace(letter)
