"""What a letter about a budget's threshold says."""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

from alerting import links
from alerting.models import Alert, Notification
from alerting.wording import Row, Words, badge, number, span, time, when
from metrics import units
from metrics.units import Unit

MICROSECOND: Final = timedelta(microseconds=1)


def words(alert: Alert, reason: str) -> Words:
    told = alert.facts[reason]
    return _firing(alert, told) if reason == Notification.Reason.FIRING else _resolved(alert, told)


def _firing(alert: Alert, told: dict[str, Any]) -> Words:
    budget = alert.facts["budget"]
    spent, amount = int(told["value"]), int(budget["amount"])
    state = badge("FIRING", alert.severity)
    return Words(
        subject=f"[{state}] Budget {budget['name']}: {_share(spent, amount)} of {_amount(amount)} spent",
        badge=state,
        headline=f"Budget {budget['name']}: {_share(spent, amount)} of {_amount(amount)} spent",
        lead=_outlook(spent, amount, budget, time(told["at"])),
        rows=[
            Row("Spent", f"{units.money(spent)} of {_amount(amount)}"),
            Row("Threshold", f"{budget['percent']}{units.SPACE}%, {units.money(alert.limit)}"),
            Row("Period", _period(budget)),
            Row("Reached", when(alert.opened_at)),
            *_estimated(told),
        ],
        contributors_title="Where it went",
        page=Row("Open the page", _page(alert, told)),
        links=_edit(alert),
        why=_why(budget),
    )


def _resolved(alert: Alert, told: dict[str, Any]) -> Words:
    budget = alert.facts["budget"]
    spent, amount = _last_known(alert, told), int(budget["amount"])
    begun = alert.fired_at or alert.opened_at
    state = badge("RESOLVED", span(time(told["at"]) - begun))
    return Words(
        subject=f"[{state}] Budget {budget['name']}: {units.money(spent)} of {_amount(amount)} spent",
        badge=state,
        headline=f"Resolved: {alert.title}",
        lead=f"{told['why']} {units.money(spent)} of {_amount(amount)} is spent in {budget['label']}.",
        rows=[
            Row("Spent", f"{units.money(spent)} of {_amount(amount)}, {_share(spent, amount)}"),
            Row("Threshold", f"{budget['percent']}{units.SPACE}%, {units.money(alert.limit)}"),
            Row("Period", _period(budget)),
            Row("Told", when(begun)),
            *_estimated(told),
        ],
        page=Row("Open the page", _page(alert, alert.facts["firing"])),
        links=_edit(alert),
        why=_why(budget),
    )


def _last_known(alert: Alert, told: dict[str, Any]) -> int:
    known = number(told.get("value"))
    return int(alert.facts["firing"]["value"] if alert.value is None else alert.value) if known is None else int(known)


def _outlook(spent: int, amount: int, budget: dict[str, Any], at: datetime) -> str:
    """What happens next, at the average pace of the period so far."""
    start, end = time(budget["start"]), time(budget["end"])
    if spent >= amount:
        over = f", {units.money(spent - amount)} more than planned" if spent > amount else ""
        return f"The budget of {budget['label']} is used up{over}. The period ends {when(end)}."
    rest = (at - start) // MICROSECOND * (amount - spent) // spent
    if rest >= (end - at) // MICROSECOND:
        return f"At the average pace so far the rest lasts until the period ends, {when(end)}."
    used_up = when(at + rest * MICROSECOND)
    return f"At the average pace so far the rest is used up about {used_up}; the period ends {when(end)}."


def _period(budget: dict[str, Any]) -> str:
    text = f"{budget['label']}, to {when(time(budget['end']))}"
    zone = budget["zone"]
    if zone == "UTC":
        return text
    local = time(budget["end"]).astimezone(ZoneInfo(zone))
    return f"{text} ({local:%H:%M} in {zone})"


def _estimated(told: dict[str, Any]) -> list[Row]:
    """What the amount holds for calls whose price is not known."""
    if told.get("unpriced", 0) == 0:
        return []
    estimate = units.money(number(told.get("estimated")))
    requests = "request" if told["unpriced"] == 1 else "requests"
    text = f"{estimate} of it, for {units.count(told['unpriced'])} {requests} without a known price"
    return [Row("Estimated", text)]


def _share(spent: int, amount: int) -> str:
    return units.ratio(Fraction(spent, amount))


def _amount(amount: int) -> str:
    return units.limit(amount, Unit.NANOUSD)


def _page(alert: Alert, told: dict[str, Any]) -> str:
    scope = alert.facts["scope"]
    return links.page(
        "overview",
        alert.project.slug,
        time(alert.facts["budget"]["start"]),
        time(told["end"]),
        env=scope["environment"],
        feature=scope["feature"],
    )


def _edit(alert: Alert) -> list[Row]:
    budget_id: int = alert.facts["budget"]["id"]
    return [] if alert.threshold_id is None else [Row("Change the budget", links.edit_budget(budget_id))]


def _why(budget: dict[str, Any]) -> str:
    return f"You get this mail because of the budget “{budget['name']}”."
