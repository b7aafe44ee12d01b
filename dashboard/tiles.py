"""Tiles: headline numbers, each with its change in words and a sparkline, and the six of the Overview."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

from django.utils.safestring import SafeString

from budgets import spending
from budgets.models import Budget
from dashboard.look import Look, Need
from dashboard.query import DashboardQuery
from dashboard.sparkline import sparkline
from metrics import queries, units
from metrics.catalog import METRICS
from metrics.readings import Reading, Value
from metrics.units import Unit
from metrics.windows import Window


@dataclass(frozen=True, slots=True)
class Tile:
    label: str
    value: str
    exact: str = ""
    """The same with every digit, where `value` is rounded."""
    change: str = ""
    """The difference, in digits."""
    against: str = ""
    """What it is the difference from, in words."""
    tone: str = "plain"
    """good, bad or plain."""
    arrow: str = ""
    spark: SafeString | None = None
    note: str = ""
    share: int | None = None
    """Percent of a budget, for the bar."""
    href: str = ""


NEEDS: Final[Sequence[Need]] = ("readings", "earlier_readings", "timeline", "month")


def tiles(look: Look) -> list[Tile]:
    return [
        _metric_tile(look, "success_rate", "Success rate"),
        _metric_tile(look, "latency_p95", "p95 latency"),
        _metric_tile(look, "requests", "Requests"),
        _metric_tile(look, "spend", "Cost", note=_unpriced(look)),
        month_tile(look),
        _tokens_tile(look),
    ]


def _metric_tile(look: Look, key: str, label: str, note: str = "") -> Tile:
    metric, reading = METRICS[key], look.readings[key]
    return with_change(
        look,
        Tile(
            label,
            units.number(reading.value, metric.unit),
            exact=all_digits(key, reading),
            spark=sparkline(finished(look, look.timeline[key].values), f"{label} over the range"),
            note=note,
        ),
        reading,
        look.earlier_readings.get(key),
        metric.unit,
        # More or fewer calls, or dollars, are neither good nor bad by themselves.
        better=metric.better if key in ("success_rate", "latency_p95") else "",
    )


def _tokens_tile(look: Look) -> Tile:
    parts = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    now, before = _total(look.readings, parts), _total(look.earlier_readings, parts)
    written = [units.tokens(look.readings[key].value) for key in ("input_tokens", "output_tokens")]
    exact = [f"{all_digits(key, look.readings[key])} {METRICS[key].label.lower()}" for key in parts]
    spark = [
        None if a is None or b is None else a + b
        for a, b in zip(look.timeline["input_tokens"].values, look.timeline["output_tokens"].values, strict=True)
    ]
    assert now is not None
    return with_change(
        look,
        Tile(
            "Tokens",
            units.tokens(now.value),
            exact=", ".join(exact),
            spark=sparkline(finished(look, spark), "Tokens over the range"),
            note=f"{written[0]} in, {written[1]} out",
        ),
        now,
        before,
        Unit.TOKENS,
        better="",
    )


def _monthly_budget(query: DashboardQuery) -> Budget | None:
    """Return the budget that the month so far is held against."""
    return (
        Budget.objects.filter(
            project=query.project, active=True, period=Budget.Period.MONTH, feature="", environment=query.environment
        )
        .order_by("pk")
        .first()
    )


def month_tile(look: Look) -> Tile:
    """Spend since the month began, against the project's monthly budget when there is one."""
    query, budget = look.query, _monthly_budget(look.query)
    if budget is not None and not query.has_filters:
        status = spending.status(budget, query.now)
        tone = "bad" if status.reached(100) else "warn" if status.reached(80) else "good"
        return Tile(
            "Month to date",
            units.money(status.spent_nanousd),
            change=units.ratio(status.share),
            against=f"of {units.limit(budget.amount_nanousd, Unit.NANOUSD)}",
            tone=tone,
            share=min(int(status.share * 100), 100),
            note=_pace(status.share, Window(status.period.start, status.period.end), query.now),
        )
    try:
        reading = look.month_to_date
    except queries.WindowTooWideError:
        return Tile("Month to date", units.UNKNOWN, note="not kept for these filters together")
    note = "" if budget is not None or query.has_filters else "no monthly budget yet"
    return Tile("Month to date", units.money(reading.value), against=f"since 1 {look.month.start:%B}", note=note)


def _pace(share: Fraction, period: Window, now: datetime) -> str:
    """Return how spending stands against the part of the month that is over."""
    gone = Fraction(int((now - period.start).total_seconds()), max(int(period.seconds), 1))
    return f"{units.ratio(gone)} of the month is over" if share <= 1 else "the budget is used up"


def with_change(look: Look, tile: Tile, now: Reading, before: Reading | None, unit: Unit, *, better: str) -> Tile:
    """Return the tile with its change against the comparison; `better` (lower, higher or nothing) gives it a tone."""
    if before is None or now.value is None or before.value is None or before.sample == 0:
        against = "" if before is None else "nothing to compare with"
        return _replace(tile, against=against)
    difference = now.value - before.value
    tone = "plain"
    if better and difference != 0 and min(now.sample, before.sample) >= units.ENOUGH_EVENTS:
        tone = "good" if (difference > 0) == (better == "higher") else "bad"
        tone = tone if _is_notable(Decimal(difference), before.value, unit) else "plain"
    return _replace(
        tile,
        change=""
        if difference == 0
        else units.delta(now.value, before.value, unit, events=before.sample).lstrip("+" + units.MINUS),
        against=f"{'same as' if difference == 0 else 'vs'} {look.query.compared_with}",
        tone=tone,
        arrow="" if difference == 0 else "up" if difference > 0 else "down",
    )


def _is_notable(difference: Decimal, before: int | Decimal, unit: Unit) -> bool:
    """Small changes are noise: they keep the plain colour."""
    if unit is Unit.RATIO:
        return abs(difference) >= Decimal("0.005")
    return before != 0 and abs(difference) / Decimal(before) >= Decimal("0.1")


def _replace(tile: Tile, **changes: str) -> Tile:
    fields = {name: getattr(tile, name) for name in Tile.__slots__}
    return Tile(**(fields | changes))


def all_digits(key: str, reading: Reading) -> str:
    """Return a sum of money or tokens as it is; empty for what is shown in full, or is no sum."""
    unit = METRICS[key].unit
    if unit not in (Unit.NANOUSD, Unit.TOKENS) or reading.value is None:
        return ""
    return units.all_digits(int(reading.value), unit)


def finished(look: Look, values: Sequence[Value]) -> Sequence[Value]:
    """Leave out the bucket that is still open: it would always fall off at the end."""
    return values[:-1] if look.window.end > look.now and len(values) > 2 else values


def _total(readings: dict[str, Reading], parts: Sequence[str]) -> Reading | None:
    if not readings:
        return None
    total = sum((int(value) for part in parts if (value := readings[part].value) is not None), 0)
    first = readings[parts[0]]
    return Reading("tokens", total, first.sample, first.complete_to, first.unpriced)


def _unpriced(look: Look) -> str:
    unpriced = look.readings["unpriced"].value
    if unpriced is None or unpriced == 0:
        return ""
    return f"without {units.count(unpriced)} unpriced {'call' if unpriced == 1 else 'calls'}"
