"""What a letter about a rule says."""

from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from alerting import links
from alerting.models import Alert, Notification
from alerting.wording import Row, Words, badge, clock, minutes, number, span, time, when
from metrics import units
from metrics.catalog import METRICS, Metric
from metrics.units import Unit

# How much of the time before the window the page shows: enough to see what changed.
CONTEXT: Final = 12
AT_LEAST: Final = timedelta(hours=1)
FAILURES: Final = ("error_rate", "errors", "success_rate")


def words(alert: Alert, reason: str) -> Words:
    metric = METRICS[alert.facts["rule"]["metric"]]
    told = alert.facts[reason]
    return _firing(alert, metric, told) if reason == Notification.Reason.FIRING else _resolved(alert, metric, told)


def _firing(alert: Alert, metric: Metric, told: dict[str, Any]) -> Words:
    rule = alert.facts["rule"]
    value = number(told["value"])
    limit = units.limit(_known(rule["threshold"]), metric.unit)
    state = badge("FIRING", alert.severity)
    return Words(
        subject=f"[{state}] {_symptom(metric, value, rule['direction'], limit)}",
        badge=state,
        headline=_symptom(metric, value, rule["direction"], limit),
        lead=_impact(metric, told, rule),
        rows=[
            Row("Now", units.number(value, metric.unit)),
            Row("Limit", _limit(metric, rule)),
            *_before(metric, told, rule),
            Row("Since", _since(alert)),
            *_unpriced(metric, told),
        ],
        contributors_title=_contributors_title(metric),
        page=Row("Open the page", _page(alert, "overview", told)),
        links=[*_failed_calls(alert, metric, told), *_edit(alert)],
        why=_why(rule),
    )


def _resolved(alert: Alert, metric: Metric, told: dict[str, Any]) -> Words:
    rule = alert.facts["rule"]
    value = number(told["value"])
    begun = alert.fired_at or alert.opened_at
    lasted = span(time(told["at"]) - begun)
    state = badge("RESOLVED", lasted)
    now = [] if value is None else [Row("Now", units.number(value, metric.unit))]
    ended = told["why"] if value is None else f"{metric.label} is back at {units.number(value, metric.unit)}."
    return Words(
        subject=f"[{state}] "
        + (alert.title if value is None else f"{metric.label} {units.number(value, metric.unit)}"),
        badge=state,
        headline=f"Resolved: {alert.title}",
        lead=f"{ended} It lasted {lasted}, from {when(begun)} to {when(time(told['at']))}.",
        rows=[
            *now,
            Row("Worst", units.number(alert.peak, metric.unit)),
            Row("Limit", _limit(metric, rule)),
            Row("Lasted", lasted),
        ],
        page=Row("Open the page", _page(alert, "overview", alert.facts["firing"], end=told["at"])),
        links=_edit(alert),
        why=_why(rule),
    )


def _symptom(metric: Metric, value: Decimal | None, direction: str, limit: str) -> str:
    if value is None:
        return f"{metric.label} unknown: too few requests"
    return f"{metric.label} {units.number(value, metric.unit)} {'over' if direction == 'above' else 'under'} {limit}"


def _impact(metric: Metric, told: dict[str, Any], rule: dict[str, Any]) -> str:
    during = f"in the {minutes(rule['window_minutes'])} to {clock(time(told['end']))}"
    if told["value"] is None:
        return str(told["why"])
    requests, errors = number(told.get("requests")), number(told.get("errors"))
    if metric.key in FAILURES and requests is not None and errors is not None:
        return f"{units.count(errors)} of {units.count(requests)} requests got no answer {during}."
    value = units.number(number(told["value"]), metric.unit)
    if metric.key == "latency_p95":
        return f"Every twentieth answer took longer than {value} {during}."
    if metric.key == "spend":
        return f"{value} was spent {during}, on {units.count(requests)} requests."
    return f"{metric.label}: {value} {during}."


def _limit(metric: Metric, rule: dict[str, Any]) -> str:
    threshold, recovery = _known(rule["threshold"]), _known(rule["recovery"])
    text = f"{rule['direction']} {units.limit(threshold, metric.unit)}"
    if rule["for_minutes"] > 0:
        text += f" for {span(timedelta(minutes=rule['for_minutes']))}"
    if recovery != threshold:
        good = "at or below" if rule["direction"] == "above" else "at or above"
        text += f"; ends {good} {units.limit(recovery, metric.unit)}"
    return text


def _before(metric: Metric, told: dict[str, Any], rule: dict[str, Any]) -> list[Row]:
    before = number(told.get("before"))
    if before is None:
        return []
    text = f"{units.number(before, metric.unit)} in the {minutes(rule['window_minutes'])} before that"
    return [Row("Before", text)]


def _since(alert: Alert) -> str:
    assert alert.fired_at is not None
    held = alert.fired_at - alert.opened_at
    return when(alert.opened_at) if not held else f"{when(alert.opened_at)}, {span(held)} before this was decided"


def _unpriced(metric: Metric, told: dict[str, Any]) -> list[Row]:
    if metric.unit is not Unit.NANOUSD or told.get("unpriced", 0) == 0:
        return []
    return [Row("Not in it", f"{units.count(told['unpriced'])} requests to models without a known price")]


def _contributors_title(metric: Metric) -> str:
    if metric.key in FAILURES:
        return "Where the failures are"
    return "Where it comes from" if metric.empty is not None else "Which are slowest"


def _page(alert: Alert, name: str, told: dict[str, Any], *, end: str = "", status: str = "") -> str:
    scope = alert.facts["scope"]
    start, finish = time(told["start"]), time(end or told["end"])
    around = max(AT_LEAST, CONTEXT * (time(told["end"]) - start))
    return links.page(
        name,
        alert.project.slug,
        time(told["end"]) - around,
        finish,
        env=scope["environment"],
        feature=scope["feature"],
        status=status,
    )


def _failed_calls(alert: Alert, metric: Metric, told: dict[str, Any]) -> list[Row]:
    if metric.key not in FAILURES:
        return []
    return [Row("Failed calls", _page(alert, "logs", told, status="error"))]


def _edit(alert: Alert) -> list[Row]:
    return [] if alert.rule_id is None else [Row("Change the rule", links.edit_rule(alert.rule_id))]


def _why(rule: dict[str, Any]) -> str:
    return f"You get this mail because of the rule “{rule['name']}”."


def _known(text: str) -> Decimal:
    return Decimal(text)
