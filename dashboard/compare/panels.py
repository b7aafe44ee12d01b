"""Panels of the comparison: the course of both windows, what the difference in cost comes from, and what moved."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Final, Literal

from dashboard import charts, theme
from dashboard.charts import Figure, Line
from dashboard.compare.words import (
    PARAMETERS,
    against,
    dimension_word,
    measure_of,
    mover_verdict,
    share_words,
    signed,
)
from dashboard.drawing import Drawn, spoken, timetable
from dashboard.grids import Cell, Grid, Head
from dashboard.look import Look, Need
from dashboard.query import HOUR
from dashboard.tables import Column, Table
from metrics import queries, units
from metrics.bridge import Effect
from metrics.comparison import PART_WEEKS, Comparison
from metrics.measures import Measure
from metrics.movers import Mover, leading
from metrics.readings import Series, Value
from metrics.slices import NONE
from metrics.units import Unit
from metrics.windows import Window, floor

# Shorter ranges are drawn by their own buckets; hours would be too few points for a line.
_BY_HOUR_FROM: Final = timedelta(hours=6)
_WEEK: Final = timedelta(days=7)
_MOST_MOVERS: Final = 12
_NOTHING: Final = Table((Column("Time (UTC)", is_time=True),), ())
NO_COMPARISON: Final = "Choose above what to compare with."


@dataclass(frozen=True)
class CoursePanel:
    """A solid, B dashed, and the band of the same hours of the last weeks."""

    key: str = "course"
    title: str = "Side by side"
    width: str = "full"
    needs: tuple[Need, ...] = ()

    def draw(self, look: Look) -> Drawn:
        compared, measure = look.comparison, measure_of(look.query)
        if compared is None or look.query.shift is None:
            return Drawn(NO_COMPARISON, _NOTHING)
        by_hour = bool(compared.history) and look.window.duration >= _BY_HOUR_FROM
        now, before = self._sides(look, compared, measure, look.query.shift, by_hour=by_hour)
        drawn = [Line("this range", _over(look, now), "c1")]
        if before is not None:
            name = look.query.compared_with
            drawn.append(Line(name, before, "ink", "dash", shift=look.query.shift, quiet=True))
        band = _band(compared.history[measure.key], now) if by_hour else None
        legend = drawn if band is None else [*drawn, Line(_BAND_NAME, band[0], theme.REST, area=True)]
        table = self._table(look, now, before, band, measure)
        return Drawn(self._takeaway(look, now, before), table, _figure(look, drawn, band, measure), legend)

    def _sides(
        self, look: Look, compared: Comparison, measure: Measure, shift: timedelta, *, by_hour: bool
    ) -> tuple[Series, Series | None]:
        if not by_hour:
            step = look.query.bucket
            now = self._read(look, measure, look.window, step)
            # Minutes are kept for days only, and two or three hours are no line.
            return now, None if look.earlier_bucket > step else self._other(look, measure, shift, step)
        history = compared.history[measure.key]
        start = floor(look.window.start, HOUR)
        now = _part(history, Window(start, compared.window.end))
        if start - shift >= history.starts[0] and shift % HOUR == timedelta(0):
            return now, _part(history, Window(start - shift, look.window.end - shift))
        return now, self._other(look, measure, shift, HOUR)

    def _other(self, look: Look, measure: Measure, shift: timedelta, step: timedelta) -> Series:
        start = floor(look.window.start - shift, step)
        return self._read(look, measure, Window(start, max(look.window.end - shift, start + step)), step)

    def _read(self, look: Look, measure: Measure, window: Window, step: timedelta) -> Series:
        (found,) = queries.series(measure.metric, window, look.query.slice, bucket=step, now=look.now)
        return found

    def _takeaway(self, look: Look, now: Series, before: Series | None) -> str:
        text = "Solid is this range" if before is None else f"Solid is this range, dashed {against(look.query)}"
        if before is None or len(before.values) < len(now.values):
            return f"{text}."
        over = [
            (value, other)
            for value, other, start in zip(now.values, before.values, now.starts, strict=False)
            if value is not None and other is not None and start + now.step <= look.now
        ]
        higher = sum(1 for value, other in over if value > other)
        return f"{text}; it was higher in {higher} of {len(over)} {'hours' if now.step == HOUR else 'points'}."

    def _table(
        self, look: Look, now: Series, before: Series | None, band: tuple[Series, Series] | None, measure: Measure
    ) -> Table:
        columns = {"this range": now}
        if before is not None:
            columns[look.query.compared_with] = before
        if band is not None:
            columns |= {"lowest of the weeks": band[0], "highest of the weeks": band[1]}
        return timetable(_as_long(list(columns.values())), list(columns), measure.of.unit)


def _figure(look: Look, drawn: Sequence[Line], band: tuple[Series, Series] | None, measure: Measure) -> Figure:
    open_from = None if look.open_from is None else floor(look.now, drawn[0].series.step)
    if band is None:
        return charts.lines(drawn, measure.of.unit, open_from)
    low, high = (Line(_BAND_NAME, side, theme.REST, quiet=True) for side in band)
    return charts.lines(drawn, measure.of.unit, open_from, (low, high))


def _as_long(columns: Sequence[Series]) -> list[Series]:
    """Lay all under the hours of the longest: the comparison has some that are still to come in the range."""
    first, most = columns[0], max(len(one.values) for one in columns)
    starts = tuple(first.starts[0] + place * first.step for place in range(most)) if first.starts else ()
    return [replace(one, starts=starts, values=(*one.values, *[None] * (most - len(one.values)))) for one in columns]


_BAND_NAME: Final = f"last {PART_WEEKS} weeks, lowest to highest"


def _over(look: Look, series: Series) -> Series:
    """Leave out the bucket that is still filling: a line would always fall at its end."""
    values = [
        None if start <= look.now < start + series.step else value
        for start, value in zip(series.starts, series.values, strict=True)
    ]
    return replace(series, values=tuple(values))


def _part(series: Series, window: Window) -> Series:
    """Return the buckets of a series that begin in a window."""
    kept = [place for place, start in enumerate(series.starts) if window.contains(start)]
    cut = slice(kept[0], kept[-1] + 1) if kept else slice(0, 0)
    return replace(series, starts=series.starts[cut], values=series.values[cut], samples=series.samples[cut])


def _band(history: Series, now: Series) -> tuple[Series, Series] | None:
    """Return the least and the greatest of the same hours of the last weeks that had calls."""
    place = {start: n for n, start in enumerate(history.starts)}
    sides: list[tuple[Value, Value]] = []
    for start in now.starts:
        weeks = [place.get(start - week * _WEEK) for week in range(1, PART_WEEKS + 1)]
        known = [history.values[n] for n in weeks if n is not None and history.samples[n] > 0]
        values = [value for value in known if value is not None]
        sides.append((min(values), max(values)) if len(values) > 1 else (None, None))
    if not any(low is not None for low, _ in sides):
        return None

    def line(values: Sequence[Value]) -> Series:
        return replace(now, values=tuple(values))

    return line([low for low, _ in sides]), line([high for _, high in sides])


@dataclass(frozen=True, slots=True)
class Step:
    """One bar of the bridge, in hundredths of its width."""

    name: str
    amount: str
    start: float
    width: float
    kind: str
    """whole, up or down."""
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class BridgeBars:
    steps: Sequence[Step]
    begins_at: str = ""
    """The cost the bars begin at, when that is not nothing."""
    template: str = "dashboard/_bridge.html"


# A whole so many times as large as its change makes the change hard to see.
_SMALL: Final = 3
_MEANINGS: Final = {
    Effect.VOLUME: "more or fewer calls",
    Effect.MIX: "other models for the calls",
    Effect.TOKENS: "longer or shorter prompts and answers",
    Effect.CACHE: "more or less from the prompt cache",
    Effect.PRICE: "another price per token",
}


@dataclass(frozen=True)
class BridgePanel:
    """From the cost of B to that of A, step by step."""

    key: str = "bridge"
    title: str = "What the difference in cost comes from"
    width: str = "half"
    needs: tuple[Need, ...] = ()

    def draw(self, look: Look) -> Drawn:
        columns = (Column("Step"), Column("Cost", Unit.NANOUSD))
        if look.comparison is None:
            return Drawn(NO_COMPARISON, Table(columns, ()))
        found = look.comparison.bridge(measure_of(look.query))
        rows: list[tuple[object, ...]] = [(look.query.compared_with, found.before)]
        rows += [(effect.value, amount) for effect, amount in found.effects.items()]
        table = Table(columns, (*rows, ("this range", found.now)))
        if found.before == 0 == found.now:
            return Drawn("Nothing was spent on either side.", table)
        ordered = sorted(found.effects.items(), key=lambda effect: -abs(effect[1]))
        parts = ", ".join(f"{effect} {signed(amount, Unit.NANOUSD)}" for effect, amount in ordered if amount != 0)
        total = signed(found.now - found.before, Unit.NANOUSD)
        takeaway = f"{total}: {parts}." if parts else "The cost is the same on both sides."
        return Drawn(takeaway, table, extra=self._bars(look, found.before, found.now, found.effects))

    def _bars(self, look: Look, before: int, now: int, effects: Mapping[Effect, int]) -> BridgeBars:
        levels = [before]
        for amount in effects.values():
            levels.append(levels[-1] + amount)
        # Effects may overshoot on the way, and fall below nothing. Where they are small beside the whole they could not
        # be seen, so the bars begin later.
        lowest, high = min(levels), max(levels)
        low = lowest - (high - lowest) if lowest > _SMALL * (high - lowest) > 0 else min(0, lowest)
        scale = 100 / max(high - low, 1)

        def step(name: str, written: str, start: int, end: int, kind: str, meaning: str = "") -> Step:
            left, right = sorted((max(start - low, 0) * scale, (end - low) * scale))
            return Step(name, written, round(left, 2), round(max(right - left, 0.4), 2), kind, meaning)

        steps = [step(look.query.compared_with, units.money(before), 0, before, "whole")]
        for (effect, amount), level in zip(effects.items(), levels, strict=False):
            kind = "up" if amount > 0 else "down"
            written = signed(amount, Unit.NANOUSD)
            steps.append(step(effect.value, written, level, level + amount, kind, _MEANINGS[effect]))
        steps.append(step("this range", units.money(now), 0, now, "whole"))
        return BridgeBars(steps, units.money(low) if low > 0 else "")


_HEADS: Final = (
    *(Head("Part", "name"), Head("By", "text"), Head("This range"), Head("Before"), Head("Difference")),
    *(Head("Share"), Head("Verdict", "text")),
)


@dataclass(frozen=True)
class MoversPanel:
    """The parts that moved most, over all dimensions, each with a verdict."""

    key: str = "movers"
    title: str = "What is different"
    width: str = "half"
    needs: tuple[Need, ...] = ()

    def draw(self, look: Look) -> Drawn:
        measure = measure_of(look.query)
        unit = measure.parts_unit
        columns = (
            *(Column("Part"), Column("By"), Column(f"{measure.parts_label}, this range", unit)),
            *(Column(f"{measure.parts_label}, {look.query.compared_with}", unit), Column("Difference", unit)),
            *(Column("Share of the difference", Unit.RATIO), Column("p"), Column("Verdict")),
        )
        if look.comparison is None:
            return Drawn(NO_COMPARISON, Table(columns, ()))
        found = movers_of(look)
        moved = [mover for mover in found if mover.part.difference != 0 and _is_a_place_to_look(mover)]
        table = Table(columns, tuple(_values(mover) for mover in found))
        if not moved:
            return Drawn("No part differs between the two sides.", table, is_good_news=True)
        grid = Grid(_HEADS, [self._row(look, mover, unit) for mover in moved[:_MOST_MOVERS]], is_wide=True)
        return Drawn(self._takeaway(found, measure), table, grid=grid)

    def _takeaway(self, found: Sequence[Mover], measure: Measure) -> str:
        best = leading(found)[:3]
        label = measure.parts_label.lower()
        if not best:
            return f"All parts moved alike: no one of them explains the difference in {label}."
        said = [
            f"{dimension_word(one.mover.part.dimension)} {spoken(one.mover.part.name)} "
            f"({signed(one.mover.part.difference, measure.parts_unit)})"
            for one in best
        ]
        alarms = sum(1 for mover in found if mover.word.is_alarm)
        word = f"{alarms} of {len(found)} parts moved more than usual" if alarms else "No part moved more than usual"
        return f"What stands out in {label}: {', then '.join(said)}. {word}."

    def _row(self, look: Look, mover: Mover, unit: Unit) -> Sequence[Cell]:
        part = mover.part
        parameter = PARAMETERS[part.dimension]
        tone: Literal["warn", "muted"] = "warn" if mover.word.is_alarm else "muted"
        chance = "" if part.p is None else f"p {_chance(part.p)}"
        return (
            Cell(spoken(part.name), look.query.string(**{parameter: part.name})),
            Cell(dimension_word(part.dimension)),
            Cell(units.number(part.now, unit)),
            Cell(units.number(part.before, unit)),
            Cell(signed(part.difference, unit)),
            Cell(share_words(mover)),
            Cell(mover_verdict(mover), tone=tone, hint=chance),
        )


def movers_of(look: Look) -> list[Mover]:
    """Return what moved; users as well where the address groups by them."""
    assert look.comparison is not None
    found = look.comparison.movers(measure_of(look.query), with_users=look.query.group == "user")
    parts = Counter(mover.part.dimension for mover in found)
    # The only part of a dimension is everything once more.
    return [mover for mover in found if parts[mover.part.dimension] > 1]


def _is_a_place_to_look(mover: Mover) -> bool:
    """Calls that did not say which key or release they had are most often nearly all: they are in the file only."""
    return mover.part.name != NONE or mover.part.dimension not in ("key", "release")


def _values(mover: Mover) -> tuple[object, ...]:
    part = mover.part
    share = None if mover.share is None else Decimal(mover.share.numerator) / Decimal(mover.share.denominator)
    p = None if part.p is None else f"{part.p:.3g}"
    verdict = mover_verdict(mover)
    return (
        *(part.name, dimension_word(part.dimension), part.now, part.before),
        *(part.difference, share, p, verdict),
    )


def _chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
