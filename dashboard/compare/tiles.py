"""Tiles of the comparison: each number with its change and a verdict in words, and where the month is going."""

from collections.abc import Sequence
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Final

from dashboard.compare.words import is_alarm, reasons, verdict_words
from dashboard.look import Look
from dashboard.tiles import Tile
from metrics import queries, units
from metrics.comparison import Comparison, Verdict, sample_of
from metrics.forecast import DAYS_TO_LEARN, Forecast
from metrics.measures import MEASURES, Measure
from metrics.readings import Value
from metrics.units import Unit
from metrics.windows import Window

_LABELS: Final = {"spend": "Cost", "latency_p95": "p95 latency"}
# More calls, tokens or dollars are neither good nor bad by themselves: unusual ones deserve a look.
_GOOD_OR_BAD: Final = ("error_rate", "latency_p95")


def tiles(look: Look) -> Sequence[Tile]:
    """Return the five measures, and the month."""
    compared = look.comparison
    measured = [] if compared is None else [_tile(look, compared, measure) for measure in MEASURES.values()]
    return [*measured, _month(look)]


def _tile(look: Look, compared: Comparison, measure: Measure) -> Tile:
    unit = measure.of.unit
    now, before = measure.value(compared.totals), measure.value(compared.other_totals)
    verdict = compared.verdict(measure)
    sample = sample_of(measure, compared.other_totals)
    arrow, change = _change(now, before, measure, sample)
    words = look.query.compared_with
    return Tile(
        _LABELS.get(measure.key, measure.of.label),
        units.number(now, unit),
        exact=units.all_digits(int(now), unit) if unit in (Unit.NANOUSD, Unit.TOKENS) and now is not None else "",
        change=change,
        against=f"vs {words}" if arrow else f"same as {words}" if sample > 0 else f"no calls {words}",
        arrow=arrow,
        tone=_tone(measure, verdict, arrow),
        note=_note(verdict),
    )


def _change(now: Value, before: Value, measure: Measure, sample: int) -> tuple[str, str]:
    """Return where the arrow points and the size of the change; nothing without one."""
    if now is None or before is None or now == before or sample == 0:
        return "", ""
    size = units.delta(now, before, measure.of.unit, events=sample).lstrip("+" + units.MINUS)
    return ("up" if now > before else "down"), size


def _tone(measure: Measure, verdict: Verdict, arrow: str) -> str:
    if not is_alarm(verdict):
        return "plain"
    if measure.key not in _GOOD_OR_BAD:
        return "warn"
    return "bad" if arrow == "up" else "good"


def _note(verdict: Verdict) -> str:
    why = reasons(verdict)
    return f"{verdict_words(verdict)}: {why}" if why else verdict_words(verdict)


def _month(look: Look) -> Tile:
    start = look.now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    month = Window(start, (start + timedelta(days=31)).replace(day=1))
    try:
        if look.comparison is not None:
            return forecast_tile(look.comparison.forecast(month))
        return forecast_tile(queries.forecast("spend", month, look.query.slice, now=look.now))
    except queries.WindowTooWideError:
        return Tile("Month to date", units.UNKNOWN, note="not kept for these filters together")


def forecast_tile(found: Forecast | None) -> Tile:
    """Return what the month has cost so far and where it is going, with a band and the error of such forecasts."""
    if found is None:
        return Tile("Month to date", units.UNKNOWN, note=f"a forecast needs {DAYS_TO_LEARN} days of history")
    return Tile(
        "Month to date",
        units.money(found.so_far),
        exact=units.all_digits(found.so_far, Unit.NANOUSD),
        against=f"forecast {units.money(found.expected)}{_band(found)}",
        note=_error(found),
    )


def _band(found: Forecast) -> str:
    if found.low is None or found.high is None:
        return ""
    return f" ({units.money(found.low)} to {units.money(found.high)})"


def _error(found: Forecast) -> str:
    if found.error is None or found.low is None:
        return "too little history for a band"
    ahead = units.duration(found.tried_hours * 3_600_000)
    share = units.ratio(Decimal(found.error.numerator) / Decimal(found.error.denominator))
    return f"{share} off in the middle case, {found.tries} tries over {ahead}"
