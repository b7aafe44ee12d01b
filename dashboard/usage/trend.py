"""Usage over time: what the page is cut by, and the tokens by what they are charged as."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from dashboard import charts, theme
from dashboard.charts import Line
from dashboard.drawing import Drawn, spoken, timetable
from dashboard.look import Look, Need
from dashboard.usage.readings import UsageReadings
from metrics import units
from metrics.catalog import METRICS
from metrics.readings import Series
from metrics.slices import OTHER
from metrics.units import Unit
from metrics.windows import floor

_CLASSES: Final = {
    "input_tokens": ("input", "c1"),
    "output_tokens": ("output", "c2"),
    "cache_read_tokens": ("read from the cache", "c3"),
    "cache_write_tokens": ("written to the cache", "c4"),
}


@dataclass(frozen=True)
class TrendPanel:
    """One sum over time, the largest parts apart."""

    key: str = "trend"
    title: str = "Over time"
    width: str = "half"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        read = UsageReadings(look)
        unit = METRICS[read.metric].unit
        parts = [one for one in read.trend if total(one) != 0]
        colours = theme.slots([one.key for one in parts])
        drawn = [Line(spoken(one.key), one, colours[one.key], area=True) for one in parts]
        table = timetable(parts, [line.name for line in drawn], unit)
        if not parts:
            return Drawn(f"{METRICS[read.metric].label}: nothing in this range.", table)
        open_from = None if look.open_from is None else floor(look.now, read.step)
        return Drawn(_takeaway(read, parts), table, charts.layers(drawn, unit, open_from=open_from), drawn)


def _takeaway(read: UsageReadings, parts: Sequence[Series]) -> str:
    unit, label = METRICS[read.metric].unit, METRICS[read.metric].label
    whole = sum((total(one) for one in parts), Decimal(0))
    first = max(parts, key=lambda one: (one.key != OTHER, total(one)))
    text = f"{label}: {units.number(whole, unit)}"
    if len(parts) == 1:
        return f"{text}, all of it {spoken(first.key)}."
    return f"{text}; {spoken(first.key)} has the largest share, {units.ratio(total(first) / whole)}."


@dataclass(frozen=True)
class TokenMixPanel:
    """All tokens, by what they are charged as."""

    key: str = "tokens"
    title: str = "Token mix"
    width: str = "half"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        timeline = UsageReadings(look).timeline
        series = [timeline[metric] for metric in _CLASSES]
        drawn = [
            Line(name, one, colour, area=True)
            for (name, colour), one in zip(_CLASSES.values(), series, strict=True)
            if total(one) != 0
        ]
        table = timetable(series, [name for name, _ in _CLASSES.values()], Unit.TOKENS)
        if not drawn:
            return Drawn("No token is known to have been used in this range.", table)
        whole = sum((total(line.series) for line in drawn), Decimal(0))
        shares = ", ".join(f"{units.ratio(total(line.series) / whole)} {line.name}" for line in drawn)
        figure = charts.layers(drawn, Unit.TOKENS, open_from=look.open_from)
        return Drawn(f"{units.tokens(whole)} tokens: {shares}.", table, figure, drawn)


def total(series: Series) -> Decimal:
    """Return the sum of what is known of a series."""
    return sum((Decimal(value) for value in series.values if value is not None), Decimal(0))
