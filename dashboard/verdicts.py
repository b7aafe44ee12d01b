"""The verdict: one sentence that says healthy, degraded, down or unknown, since when, why, and what to do next.

It is about the last minutes when the range runs to now, and about the range itself when that lies in the past. Silence
where calls are expected, and numbers that are not up to date, are Unknown: never green.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.urls import reverse

from alerting.models import Alert
from dashboard import search
from dashboard.drawing import spoken
from dashboard.look import Look
from dashboard.query import DAY, MINUTE, DashboardQuery, moved, stamp
from metrics import asks, queries, units
from metrics.readings import Reading
from metrics.slices import Dimension
from metrics.steps import Steps
from metrics.units import Unit
from metrics.windows import Window, ceil

RECENT: Final = timedelta(minutes=15)
STALE: Final = timedelta(seconds=90)
# Of calls that ended without an answer.
DEGRADED_FROM: Final = Decimal("0.05")
DOWN_FROM: Final = Decimal("0.5")
# p95 against the same time of the comparison.
SLOWER_BY: Final = Decimal("1.5")
_METRICS: Final = ("requests", "errors", "error_rate", "success_rate", "latency_p95")
_TRACED_TO: Final[tuple[Dimension, ...]] = ("error", "feature")
WORDS: Final = {"healthy": "Healthy", "degraded": "Degraded", "down": "Down", "unknown": "Unknown"}


@dataclass(frozen=True, slots=True)
class Verdict:
    kind: str
    sentence: str
    detail: str = ""
    since: datetime | None = None
    action: str = ""
    """What to do next, as the text of a link."""
    href: str = ""

    @property
    def word(self) -> str:
        return WORDS[self.kind]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verdict rests on."""

    query: DashboardQuery
    window: Window
    complete_to: datetime
    now: dict[str, Reading]
    usual: dict[str, Reading]
    """The same window of a day or a week before; empty without a comparison."""
    firing: tuple[Alert, ...]
    last_call: datetime | None
    """When the newest call of all began; None when nothing is stored, or there are calls in the window."""

    @property
    def calls(self) -> int:
        return int(self.now["requests"].value or 0)

    @property
    def usual_calls(self) -> int:
        reading = self.usual.get("requests")
        return int(reading.value or 0) if reading is not None else 0


def needs(query: DashboardQuery) -> dict[str, Steps[Any]]:
    """Return the questions a verdict rests on, by name: the recent window, the same one before, the watermark."""
    window = _window(query)
    # Whole days back when it is about now, so that the hours are the same.
    shift = query.shift or 7 * DAY
    before = window.shift(-(max(shift, DAY) if query.is_live else shift))
    return {
        "verdict: now": asks.values(_METRICS, window, query.slice, now=query.now),
        "verdict: usual": asks.values(_METRICS, before, query.slice, now=query.now),
        "verdict: complete_to": asks.complete_to(query.slice.project_id, now=query.now),
    }


def gather(query: DashboardQuery, firing: tuple[Alert, ...], look: Look) -> Evidence:
    """Put together what the verdict needs; reads what the look has not read ahead."""
    if not look.has(needed := needs(query)):
        look.ahead([], needed)
    found = Evidence(
        query=query,
        window=_window(query),
        complete_to=look.answer("verdict: complete_to"),
        now=look.answer("verdict: now"),
        usual=look.answer("verdict: usual"),
        firing=firing if query.is_live else (),
        last_call=None,
    )
    if found.calls > 0 or query.project is None:
        return found
    return replace(found, last_call=search.newest(query.project, query.now))


def _window(query: DashboardQuery) -> Window:
    # Whole minutes, the running one among them, so that the rollups can answer.
    return Window.last(RECENT, ceil(query.now, MINUTE)) if query.is_live else query.exact.until(query.now)


def verdict(evidence: Evidence) -> Verdict:
    """Return the worst of what is known; the first rule that speaks decides."""
    for rule in (_stale, _silent, _down, _alerting, _failing, _slow):
        if (found := rule(evidence)) is not None:
            return found
    return _healthy(evidence)


def _stale(evidence: Evidence) -> Verdict | None:
    behind = evidence.query.now - evidence.complete_to
    if not evidence.query.is_live or behind <= STALE:
        return None
    return Verdict(
        "unknown",
        f"The numbers stop at {evidence.complete_to:%H:%M:%S} UTC, {_span(behind)} ago.",
        "Calls are taken in, but they are not being counted: the worker does not run, or it cannot keep up.",
        since=evidence.complete_to,
        action="See what the worker last did",
        href=reverse("admin:config_job_changelist"),
    )


def _silent(evidence: Evidence) -> Verdict | None:
    if evidence.calls > 0 or not evidence.query.is_live:
        return None
    last = evidence.last_call
    ago = f" The last one came {_span(evidence.query.now - last)} ago." if last is not None else ""
    if evidence.usual_calls >= units.ENOUGH_EVENTS:
        return Verdict(
            "unknown",
            f"No call has arrived in the last {_span(RECENT)}.",
            f"At this hour there are usually about {units.count(evidence.usual_calls)}.{ago} "
            "Either nobody calls, or what the application measures does not arrive.",
            since=last,
            action="Check the ingest keys",
            href=reverse("admin:projects_ingestkey_changelist"),
        )
    return Verdict(
        "unknown",
        f"It is quiet: no call in the last {_span(RECENT)}, so nothing can be said.",
        f"At this hour that is not unusual.{ago}",
        since=last,
    )


def _down(evidence: Evidence) -> Verdict | None:
    rate = evidence.now["error_rate"]
    if not isinstance(rate.value, int | Decimal) or rate.value < DOWN_FROM or rate.sample < units.ENOUGH_EVENTS:
        return None
    return Verdict(
        "down",
        f"{units.ratio(rate.value)} of calls fail.",
        _why_failing(evidence),
        since=_first(evidence.firing),
        action="Open the failed calls",
        href=_failed(evidence),
    )


def _alerting(evidence: Evidence) -> Verdict | None:
    if not evidence.firing:
        return None
    worst = min(evidence.firing, key=lambda alert: (_SEVERITY.get(alert.severity, 9), alert.opened_at))
    others = len(evidence.firing) - 1
    detail = _numbers(evidence)
    if others > 0:
        detail += f" {others} more {'alert fires' if others == 1 else 'alerts fire'}."
    return Verdict(
        "degraded",
        f"{worst.title.rstrip('.')}.",
        detail,
        since=worst.fired_at or worst.opened_at,
        action="Open the alert",
        href=reverse("alert", args=[worst.pk]) + evidence.query.here,
    )


def _failing(evidence: Evidence) -> Verdict | None:
    rate = evidence.now["error_rate"]
    if rate.value is None or rate.value < DEGRADED_FROM or rate.sample < units.ENOUGH_EVENTS:
        return None
    return Verdict(
        "degraded",
        f"{units.ratio(rate.value)} of calls fail.",
        _why_failing(evidence),
        action="Open the failed calls",
        href=_failed(evidence),
    )


def _slow(evidence: Evidence) -> Verdict | None:
    now, usual = evidence.now["latency_p95"], evidence.usual["latency_p95"]
    if now.value is None or usual.value is None or min(now.sample, usual.sample) < units.ENOUGH_EVENTS:
        return None
    if now.value < usual.value * SLOWER_BY:
        return None
    change = units.delta(now.value, usual.value, Unit.MILLISECONDS, events=usual.sample).lstrip("+")
    worst = _slowest_feature(evidence)
    return Verdict(
        "degraded",
        f"Answers are slow: p95 is {units.duration(now.value)}, {change} above its usual "
        f"{units.duration(usual.value)}{worst}.",
        _numbers(evidence),
        action="Open the calls",
        href=reverse("logs") + evidence.query.string(),
    )


def _healthy(evidence: Evidence) -> Verdict:
    if evidence.calls == 0:
        return Verdict("unknown", "There was no call in this range, so nothing can be said.")
    when = f"in the last {_span(RECENT)}" if evidence.query.is_live else "in this range"
    rate = evidence.now["success_rate"]
    if rate.sample < units.ENOUGH_EVENTS:
        plural = "call" if evidence.calls == 1 else "calls"
        text = f"All is well as far as {units.count(evidence.calls)} {plural} {when} can tell."
        return Verdict("healthy", text, _numbers(evidence))
    return Verdict("healthy", f"{units.ratio(rate.value)} of calls {when} were answered.", _numbers(evidence))


_SEVERITY: Final = {"critical": 0, "warning": 1, "info": 2}


def _numbers(evidence: Evidence) -> str:
    success, p95 = evidence.now["success_rate"], evidence.now["latency_p95"]
    parts = [f"{units.count(evidence.calls)} {'call' if evidence.calls == 1 else 'calls'}"]
    if success.value is not None:
        parts.append(f"{units.ratio(success.value)} answered")
    if p95.value is not None:
        usual = evidence.usual["latency_p95"].value
        against = f" (usually {units.duration(usual)})" if usual is not None else ""
        parts.append(f"p95 {units.duration(p95.value)}{against}")
    when = f"Last {_span(RECENT)}: " if evidence.query.is_live else ""
    return when + ", ".join(parts) + "."


def _why_failing(evidence: Evidence) -> str:
    """Name the largest kind of failure and the feature it hits most."""
    query = evidence.query
    found = queries.together(
        {by: asks.breakdown(by, ("errors",), evidence.window, query.slice, top=1, now=query.now) for by in _TRACED_TO}
    )
    kinds, places = (found[by].get() for by in _TRACED_TO)
    text = f"{units.count(evidence.now['errors'].value)} of {units.count(evidence.calls)} calls"
    if kinds.parts:
        text += f", most often because of {spoken(kinds.parts[0].key)}"
    if places.parts and places.parts[0].readings["errors"].value:
        text += f", mostly in {spoken(places.parts[0].key)}"
    return f"{text}."


def _slowest_feature(evidence: Evidence) -> str:
    if evidence.query.feature != "":
        return ""
    found = queries.breakdown(
        "feature", ("requests", "latency_p95"), evidence.window, evidence.query.slice, top=20, now=evidence.query.now
    )
    known = [part for part in found.parts if part.readings["latency_p95"].sample >= units.ENOUGH_EVENTS]
    worst = max(known, key=lambda part: Decimal(part.readings["latency_p95"].value or 0), default=None)
    return f", slowest in {spoken(worst.key)}" if worst is not None else ""


def _failed(evidence: Evidence) -> str:
    query = moved(evidence.query, evidence.window)
    return reverse("logs") + query.string(status="failed", **{"from": stamp(evidence.window.start)})


def _first(firing: tuple[Alert, ...]) -> datetime | None:
    return min((alert.fired_at or alert.opened_at for alert in firing), default=None)


def _span(span: timedelta) -> str:
    return units.duration(int(span.total_seconds()) * 1000)
