"""Panels that several pages show: each answers one question with a sentence, a chart, and the numbers behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from dashboard import charts, theme
from dashboard.charts import Line
from dashboard.drawing import Drawn, spoken, timetable
from dashboard.grids import Cell, Grid, Head
from dashboard.look import Look, Need, Parts
from dashboard.tables import Column, Table
from metrics import units
from metrics.catalog import METRICS
from metrics.readings import Part, Reading, Series, Value
from metrics.slices import OTHER, Dimension
from metrics.units import Unit

# The share of failed calls from which a feature is marked.
FAILING: Final = Decimal("0.05")


@dataclass(frozen=True)
class LatencyPanel:
    """Percentiles over time, and the p95 of the comparison behind them."""

    key: str = "latency"
    title: str = "Latency"
    width: str = "half"
    needs: Sequence[Need] = ("readings", "timeline", "earlier_timeline")

    def draw(self, look: Look) -> Drawn:
        series = [look.timeline[f"latency_{name}"] for name in ("p50", "p95", "p99")]
        lines = [
            Line(name, one, colour, dash)
            for name, one, colour, dash in zip(
                ("p50", "p95", "p99"), series, theme.SLOTS, ("solid", "dash", "dot"), strict=False
            )
        ]
        shift, earlier = look.query.shift, look.earlier_timeline.get("latency_p95")
        if shift is not None and earlier is not None and any(value is not None for value in earlier.values):
            lines.append(Line(f"p95, {look.query.compared_with}", earlier, theme.REST, "dot", quiet=True, shift=shift))
        table = timetable(series, ["p50", "p95", "p99"], Unit.MILLISECONDS)
        return Drawn(self._takeaway(look), table, charts.lines(lines, Unit.MILLISECONDS, look.open_from), lines)

    def _takeaway(self, look: Look) -> str:
        p50, p95 = look.readings["latency_p50"], look.readings["latency_p95"]
        if p95.value is None:
            return "No call was answered in this range, so there is no latency to show."
        text = f"Half of the answers took up to {units.duration(p50.value)}, 95 of 100 up to "
        return f"{text}{units.duration(p95.value)}."


@dataclass(frozen=True)
class RequestsPanel:
    """How many calls, with the comparison behind."""

    key: str = "requests"
    title: str = "Requests"
    width: str = "half"
    needs: Sequence[Need] = ("readings", "earlier_readings", "timeline", "earlier_timeline")

    def draw(self, look: Look) -> Drawn:
        series = look.timeline["requests"]
        drawn = [Line("requests", series, "spark", area=True)]
        behind = None
        shift, earlier = look.query.shift, look.earlier_timeline.get("requests")
        if shift is not None and earlier is not None and any(value != 0 for value in earlier.values):
            per = max(earlier.step // series.step, 1)
            name = look.query.compared_with
            behind = Line(name, earlier, "ink", "dash", quiet=True, shift=shift, per=per)
        legend = [*drawn, behind] if behind is not None else drawn
        figure = charts.layers(drawn, Unit.COUNT, behind, look.open_from)
        return Drawn(self._takeaway(look), timetable([series], ["requests"], Unit.COUNT), figure, legend)

    def _takeaway(self, look: Look) -> str:
        value = look.readings["requests"].value
        if value is None or value == 0:
            return "No call was made in this range."
        text = f"{units.count(value)} {'call' if value == 1 else 'calls'}"
        before = look.earlier_readings.get("requests")
        if before is None or before.value is None or before.value == 0:
            return f"{text}; nothing to compare with." if before is not None else f"{text} in this range."
        change = units.delta(value, before.value, Unit.COUNT, events=before.sample)
        return f"{text}, {change} against {look.query.compared_with} ({units.count(before.value)})."


@dataclass(frozen=True)
class StackPanel:
    """A sum over time, split by one property of the calls."""

    key: str
    title: str
    metric: str
    by: Dimension
    nothing: str
    """The sentence when there is nothing to show."""
    is_good_news: bool = False
    """Nothing is what one hopes for."""
    width: str = "half"

    @property
    def needs(self) -> Sequence[Need]:
        return (Parts(self.metric, self.by),)

    def draw(self, look: Look) -> Drawn:
        unit = METRICS[self.metric].unit
        parts = [one for one in look.parts_over_time(self.metric, self.by) if _sum(one) != 0]
        colours = theme.slots([one.key for one in parts])
        drawn = [Line(spoken(one.key), one, colours[one.key], area=True) for one in parts]
        table = timetable(parts, [line.name for line in drawn], unit)
        if not parts:
            return Drawn(self.nothing, table, is_good_news=self.is_good_news)
        return Drawn(self._takeaway(parts, unit), table, charts.layers(drawn, unit, open_from=look.open_from), drawn)

    def _takeaway(self, parts: Sequence[Series], unit: Unit) -> str:
        total = sum((_sum(one) for one in parts), Decimal(0))
        first = max((one for one in parts), key=lambda one: (one.key != OTHER, _sum(one)))
        text = f"{units.number(total, unit)} in total"
        if len(parts) == 1:
            return f"{text}, all of it {spoken(first.key)}."
        return f"{text}; {spoken(first.key)} has the largest share, {units.ratio(_sum(first) / total)}."


_FEATURE_HEADS: Final = (
    *(Head("Feature", "name"), Head("Requests"), Head("Cost"), Head("Share of cost", "bar"), Head("Change")),
    *(Head("p95 latency"), Head("Error rate")),
)


@dataclass(frozen=True)
class FeaturesPanel:
    """The features that cost most, with what a person asks next about each."""

    key: str = "features"
    title: str = "Top features"
    width: str = "full"
    needs: Sequence[Need] = ("features", "earlier_features")

    def draw(self, look: Look) -> Drawn:
        parts = [*look.features.parts, *([look.features.other] if look.features.other is not None else [])]
        grid = Grid(_FEATURE_HEADS, [self._row(look, part) for part in parts])
        return Drawn(self._takeaway(look), self._table(look, parts), grid=grid)

    def _table(self, look: Look, parts: Sequence[Part]) -> Table:
        columns = [Column("Feature"), Column("Requests", Unit.COUNT), Column("Cost", Unit.NANOUSD)]
        if look.earlier is not None:
            columns.append(Column(f"Cost, {look.query.compared_with}", Unit.NANOUSD))
        columns += [Column("p95 latency", Unit.MILLISECONDS), Column("Error rate", Unit.RATIO)]
        return Table(tuple(columns), tuple(self._values(look, part) for part in parts))

    def _values(self, look: Look, part: Part) -> tuple[object, ...]:
        before = look.earlier_features.get(part.key)
        compared = [] if look.earlier is None else [None if before is None else before.value]
        read = part.readings
        return (
            *(part.key, read["requests"].value, read["spend"].value, *compared),
            *(read["latency_p95"].value, read["error_rate"].value),
        )

    def _row(self, look: Look, part: Part) -> Sequence[Cell]:
        read, total = part.readings, look.features.total.readings["spend"].value
        spend, rate = read["spend"].value, read["error_rate"]
        share = 0 if spend is None or total is None or total == 0 else int(100 * Decimal(spend) / Decimal(total))
        is_failing = rate.value is not None and rate.value >= FAILING and rate.sample >= units.ENOUGH_EVENTS
        is_name = part.key != OTHER
        return (
            Cell(part.key, look.query.string(feature=part.key)) if is_name else Cell(spoken(part.key), tone="muted"),
            Cell(units.count(read["requests"].value)),
            Cell("no price" if spend == 0 and read["spend"].unpriced > 0 else units.money(spend)),
            Cell(share=share),
            Cell(_change(spend, look.earlier_features.get(part.key))),
            Cell(units.duration(read["latency_p95"].value)),
            Cell(units.ratio(rate.value), tone="bad" if is_failing else "", hint="high" if is_failing else ""),
        )

    def _takeaway(self, look: Look) -> str:
        found = look.features
        if not found.parts:
            return "No call was made in this range."
        first, spend = found.parts[0], found.total.readings["spend"].value
        own = first.readings["spend"].value
        if spend is None or own is None or spend == 0:
            return f"{len(found.parts)} features; none has a known cost in this range."
        share = units.ratio(Decimal(own) / Decimal(spend))
        return f"{spoken(first.key)} costs most: {units.money(own)}, {share} of all spend."


def _change(spend: Value, before: Reading | None) -> str:
    if before is None or before.value is None or before.value == 0:
        return "new" if before is not None and spend else units.UNKNOWN
    return units.delta(spend, before.value, Unit.NANOUSD, events=max(before.sample, units.ENOUGH_EVENTS))


def _sum(series: Series) -> Decimal:
    return sum((Decimal(value) for value in series.values if value is not None), Decimal(0))
