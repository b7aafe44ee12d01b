"""A test mail: the letter a rule would send, with the numbers of this moment and a subject that says it is a test."""

from datetime import datetime
from typing import Final

from django.db import DatabaseError
from django.template.loader import render_to_string

from alerting import rules
from alerting.channels import CHANNELS
from alerting.channels.base import DeliveryError, Letter
from alerting.letters import SUBJECT_LENGTH, compose, in_html, in_text
from alerting.models import Alert, AlertRule, Notification
from metrics import queries

TEST: Final = "[TEST] "


def send(rule: AlertRule, address: str, *, now: datetime) -> str:
    """Send the test mail of a rule; return why it could not be sent, or nothing."""
    try:
        letter = write(rule, address, now=now)
        with CHANNELS["email"]() as channel:
            channel.send(letter)
    except (DeliveryError, DatabaseError, ValueError) as error:
        return str(error)
    return ""


def write(rule: AlertRule, address: str, *, now: datetime) -> Letter:
    """Write what the rule would send if it fired now. Nothing is stored."""
    window = rules.window_of(rule, queries.complete_to(rule.project_id, now=now))
    finding = rules.look_at(rule, window, now=now)
    facts = finding.facts | {"firing": finding.snapshot() | finding.context()}
    alert = Alert(
        pk=0,
        project=rule.project,
        rule=rule,
        subject=finding.subject,
        title=finding.title,
        severity=finding.severity,
        state=Alert.State.FIRING,
        since=finding.at,
        opened_at=finding.at,
        fired_at=finding.at,
        value=finding.value,
        peak=finding.value,
        limit=finding.limit,
        facts=facts,
    )
    subject, context = compose(alert, Notification.Reason.FIRING, address)
    context |= {
        "badge": "TEST",
        "severity": "info",
        "lead": f"This is a test and nothing is wrong. {context['lead']}",
        "links": [],
        "number": "No alert stands behind this mail.",
    }
    return Letter(
        key=f"test-{rule.pk}-{now:%Y%m%dT%H%M%S%f}",
        thread="",
        to=address,
        subject=(TEST + subject)[:SUBJECT_LENGTH],
        text=in_text(render_to_string("emails/firing.txt", context)),
        html=in_html(render_to_string("emails/firing.html", context)),
    )
