"""The words of a mail, from the facts an alert remembers. Nothing is read from the calls here, and no prompt is in it.

A letter is complete with pictures off and links dead: what is wrong, since when, how bad, who makes it up. The text is
the letter; the HTML says the same in a table.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.template.loader import render_to_string

from alerting import budget_words, links, rule_words
from alerting.channels.base import Letter
from alerting.models import Alert, Notification
from alerting.wording import Row, fitted, number, one_line, plain, when
from metrics import units
from metrics.catalog import METRICS

SUBJECT_LENGTH: Final = 78
_DIMENSIONS: Final = {"feature": "Feature", "model": "Model", "error": "Error"}


@dataclass(frozen=True)
class Contributor:
    """One part of the number: its kind, its name, and its share of the sum or its own value."""

    dimension: str
    name: str
    text: str
    percent: int | None
    """The share as whole percent for the bar; None where parts do not add up."""


def write(notification: Notification) -> Letter:
    """Write the letter for one message to one recipient."""
    alert = notification.transition.alert
    subject, context = compose(alert, notification.reason, notification.recipient.email)
    return Letter(
        key=notification.key,
        thread=_thread(notification),
        to=notification.recipient.email,
        subject=subject,
        text=in_text(render_to_string(f"emails/{notification.reason}.txt", context)),
        html=in_html(render_to_string(f"emails/{notification.reason}.html", context)),
    )


def in_text(text: str) -> str:
    """The plain part: ordinary spaces, which every program can show, search and copy."""
    return plain(text).strip() + "\n"


def in_html(page: str) -> str:
    """The HTML part: the ordinary no-break space, because some mail programs have no glyph for the narrow one."""
    return page.replace(units.SPACE, "\N{NO-BREAK SPACE}")


def compose(alert: Alert, reason: str, to: str) -> tuple[str, dict[str, object]]:
    """Return the subject and everything the templates show."""
    facts = alert.facts
    words = (rule_words if facts["kind"] == "rule" else budget_words).words(alert, reason)
    scope = ", ".join(part for part in (alert.project.name, *facts["scope"].values()) if part)
    rows = [Row(row.label, one_line(row.value)) for row in (*words.rows, Row("Where", scope_in_words(alert)))]
    subject = fitted(plain(one_line(words.subject)), plain(one_line(scope)), SUBJECT_LENGTH)
    return subject, {
        "subject": subject,
        "badge": words.badge,
        "severity": alert.severity if reason == Notification.Reason.FIRING else "resolved",
        "headline": one_line(words.headline),
        "lead": one_line(words.lead),
        "rows": rows,
        "label_width": max(len(row.label) for row in rows) + 2,
        "contributors_title": words.contributors_title,
        "contributors": contributors(facts[reason].get("contributors", [])),
        "page": words.page,
        "links": [*words.links, Row("This alert", links.alert(alert.pk))],
        "why": one_line(f"{words.why} It writes to {to} once when it begins and once when it ends."),
        "number": f"Alert {alert.pk}, opened {when(alert.opened_at)}.",
    }


def scope_in_words(alert: Alert) -> str:
    scope = alert.facts["scope"]
    parts = [alert.project.name, scope["environment"] or "all environments", scope["feature"] or "all features"]
    return " · ".join(parts)


def contributors(told: list[dict[str, Any]]) -> list[Contributor]:
    """The largest parts as the mail shows them."""
    return [
        Contributor(
            dimension=_DIMENSIONS.get(part["dimension"], part["dimension"]),
            name=one_line(part["name"]),
            text=_part(part),
            percent=None if part["share"] is None else round(Decimal(part["share"]) * 100),
        )
        for part in told
    ]


def _part(part: dict[str, Any]) -> str:
    metric = METRICS[part["metric"]]
    value = units.number(number(part["value"]), metric.unit)
    if part["share"] is None:
        return value
    percent = round(Decimal(part["share"]) * 100)
    share = f"{percent}{units.SPACE}%" if percent > 0 else f"<{units.SPACE}1{units.SPACE}%"
    return f"{share} · {value}"


def _thread(notification: Notification) -> str:
    if notification.reason == Notification.Reason.FIRING:
        return ""
    first = Notification.objects.filter(
        transition__alert=notification.transition.alert_id,
        recipient=notification.recipient_id,
        reason=Notification.Reason.FIRING,
    )
    return first.values_list("key", flat=True).first() or ""
