"""Queries: the only reader of what was measured. Pages, rules, budgets and exports all ask here.

Sums are exact for any window: whole buckets come from the rollups, the ragged ends from minutes or from the calls.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Context, Decimal
from itertools import count, repeat
from operator import itemgetter
from typing import Any, Final, NamedTuple

from ingest.vocabulary import Grain
from metrics.catalog import METRICS, Metric
from metrics.forecast import WEEKS, Forecast, history_of
from metrics.forecast import forecast as ahead
from metrics.formulas import ALWAYS, Columns, Sum, Totals, columns_of
from metrics.gather import Keep, Strip, gather, gather_rest, gather_strips, largest
from metrics.marks import first_day_lacking
from metrics.plan import Piece, WindowTooWideError, plan
from metrics.readings import Breakdown, Comparison, Part, Reading, Series, Value
from metrics.selection import Key, Question, labels, overflow, resolve
from metrics.slices import Dimension, Slice
from metrics.units import ENOUGH_EVENTS
from metrics.watermark import complete_to, of_pieces
from metrics.windows import FOREVER, SPANS, Window, floor, seconds_of

__all__ = [
    "WindowTooWideError",
    "breakdown",
    "compare",
    "complete_to",
    "forecast",
    "forecast_of",
    "series",
    "several_series",
    "value",
    "values",
]

_EXACT: Final = Context(prec=28)
_NOTHING: Final = Totals()
# All that a point of a series needs beside its metrics.
_COUNTED: Final = frozenset({"requests"})
# What each column holds where there were no calls.
_EMPTY: Final = columns_of([_NOTHING])
# All parts are read when there are at most so many times those that get a line.
_READ_AT_ONCE: Final = 2


class _Grid(NamedTuple):
    """What all series of one answer share."""

    starts: tuple[datetime, ...]
    step: timedelta
    begun: int
    """The buckets that have begun."""
    complete_to: datetime


def value(metric: str, window: Window, slice_: Slice, *, now: datetime) -> Reading:
    """Return one metric of the calls in a slice and window."""
    return values([metric], window, slice_, now=now)[metric]


def values(metrics: Sequence[str], window: Window, slice_: Slice, *, now: datetime) -> dict[str, Reading]:
    """Return several metrics of the same calls, by key, from one look at the data."""
    asked = _asked(metrics)
    question = _question(asked, window, slice_, now=now)
    if question is None:
        return _readings(asked, _NOTHING, now)
    pieces = plan(question)
    complete = of_pieces(slice_.project_id, pieces, window, now=now)
    return _readings(asked, gather(question, pieces).get((None, 0), _NOTHING), complete)


def series(
    metric: str,
    window: Window,
    slice_: Slice,
    *,
    bucket: timedelta,
    by: Dimension | None = None,
    top: int = 5,
    now: datetime,
) -> tuple[Series, ...]:
    """Return one metric over time: one series, or with `by` the top parts and then "(other)" when there are more."""
    return several_series([metric], window, slice_, bucket=bucket, by=by, top=top, now=now)[metric]


def several_series(
    metrics: Sequence[str],
    window: Window,
    slice_: Slice,
    *,
    bucket: timedelta,
    by: Dimension | None = None,
    top: int = 5,
    now: datetime,
) -> dict[str, tuple[Series, ...]]:
    """Return the series of several metrics, by key, from one look at the data.

    Buckets lie on a grid counted from 1970 in UTC; those at the ends hold what lies in the window. The parts of `by`
    are the top ones of the first metric when that is a sum, else those with the most requests.
    """
    asked = _asked(metrics)
    question = _question(asked, window, slice_, now=now, step=bucket, by=by)
    names: Mapping[Key, str] = {0: ""} if by is None else labels(slice_.project_id, by)
    strips: Mapping[Key, Strip] = {}
    complete = now
    keys: Sequence[Key] = [0] if by is None else []
    if question is not None:
        pieces = plan(question)
        complete = of_pieces(slice_.project_id, pieces, window, now=now)
        if by is None:
            strips = gather_strips(question, pieces, None)
        else:
            strips, keys = _top(question, pieces, asked[0], top, names)
    starts = tuple(window.buckets(bucket))
    grid = _Grid(starts, bucket, bisect_left(starts, now), complete)
    seconds = [seconds_of(start) for start in starts]
    lines: dict[str, list[Series]] = {metric.key: [] for metric in asked}
    for key in keys:
        columns = _on_grid(strips.get(key), seconds)
        for metric in asked:
            lines[metric.key].append(_line(metric, names.get(key, str(key)), columns, grid))
    return {key: tuple(of_metric) for key, of_metric in lines.items()}


def breakdown(
    dimension: Dimension,
    metrics: Sequence[str],
    window: Window,
    slice_: Slice,
    *,
    order_by: str | None = None,
    top: int = 10,
    now: datetime,
) -> Breakdown:
    """Return the parts with the largest `order_by` (default: the first metric), and the rest together.

    A breakdown by error or by user is about the calls that have one, and so is its total. Users can be ordered by sums.
    """
    asked = _asked(metrics)
    order = METRICS[order_by] if order_by is not None else asked[0]
    question = _question(asked, window, slice_, now=now, by=dimension)
    if question is None:
        return Breakdown(dimension, (), None, Part("", _readings(asked, _NOTHING, now)), now)
    pieces = plan(question)
    complete = of_pieces(slice_.project_id, pieces, window, now=now)
    names = labels(slice_.project_id, dimension)
    keep = _rank(question, order, top, names)
    cells = gather(question, pieces, keep)

    def part(name: str, totals: Totals) -> Part:
        return Part(name, _readings(asked, totals, complete))

    total = Totals()
    for totals in cells.values():
        total.add(totals)
    return Breakdown(
        dimension,
        tuple(part(names.get(key, str(key)), cells.get((None, key), _NOTHING)) for key in keep.keys),
        part(names[None], cells.get((None, None), _NOTHING)) if keep.others else None,
        part("", total),
        complete,
    )


def compare(metric: str, window: Window, other: Window, slice_: Slice, *, now: datetime) -> Comparison:
    """Return one metric in two windows. When `window` is not over, both are cut at the part that has passed."""
    passed = max(min(window.duration, now - window.start), timedelta())
    reading = value(metric, window.until(window.start + passed), slice_, now=now)
    before = value(metric, other.until(other.start + passed) if passed < window.duration else other, slice_, now=now)
    return Comparison(
        reading,
        before,
        difference=_difference(reading.value, before.value),
        relative=_relative(reading.value, before.value),
        enough=min(reading.sample, before.sample) >= ENOUGH_EVENTS,
    )


def forecast(metric: str, period: Window, slice_: Slice, *, now: datetime) -> Forecast | None:
    """Return what a sum comes to when the period ends, from its hours of the last weeks.

    The period starts with a whole hour. None with less than three days of history, and for a period that is over or has
    not begun. Raises WindowTooWideError.
    """
    assert isinstance(METRICS[metric].formula, Sum), metric
    if not period.contains(now):
        return None
    hour = SPANS[Grain.HOUR]
    known = Window(min(floor(now, hour) - WEEKS * timedelta(days=7), period.start), now)
    (by_hour,) = series(metric, known, slice_, bucket=hour, now=now)
    return forecast_of(by_hour, period, now=now)


def forecast_of(by_hour: Series, period: Window, *, now: datetime) -> Forecast | None:
    """Return the same from hours read before: up to now, from before the period began."""
    sums = [int(each or 0) for each in by_hour.values]
    so_far = sum(sums[bisect_left(by_hour.starts, period.start) :])
    return ahead(history_of(by_hour.starts, sums, until=now), so_far, period, now=now)


def _asked(metrics: Iterable[str]) -> list[Metric]:
    return [METRICS[key] for key in metrics]


def _question(
    asked: Sequence[Metric],
    window: Window,
    slice_: Slice,
    *,
    now: datetime,
    step: timedelta | None = None,
    by: Dimension | None = None,
) -> Question | None:
    """Return the question to put to the tables; None when no call can match."""
    filters = resolve(slice_)
    if filters is None:
        return None
    by_user = by == "user_id" or "user_id" in filters
    return Question(
        slice_.project_id,
        filters,
        window,
        now,
        facts=(ALWAYS if step is None else _COUNTED).union(*(metric.facts for metric in asked)),
        histograms=frozenset(metric.formula.histogram for metric in asked if metric.formula.histogram),
        step=step,
        by=by,
        months_until=(first_day_lacking(slice_.project_id, window) if by_user else None) or FOREVER,
    )


def _top(
    question: Question, pieces: Sequence[Piece], metric: Metric, top: int, names: Mapping[Key, str]
) -> tuple[Mapping[Key, Strip], Sequence[Key]]:
    """Return the cells of the keys worth a line of their own, and those keys in order; None is all others together.

    A rate or a latency is no reason for a line, so keys go by requests then.
    """
    order = metric if isinstance(metric.formula, Sum) else METRICS["requests"]
    if question.by == "user_id" or len(names) > _READ_AT_ONCE * top:
        keep = _rank(question, order, top, names)
        strips: Mapping[Key, Strip] = gather_strips(question, pieces, keep)
    else:
        # Most of them will be shown: reading all costs less than asking first which.
        strips = gather_strips(question, pieces, None)
        keep = _largest({key: _sum_of(order, strip) for key, strip in strips.items()}, top, names)
        if keep.others:
            strips = {**strips, **gather_rest(question, pieces, keep.keys)}
    return strips, [*keep.keys, *([None] if keep.others else [])]


def _sum_of(metric: Metric, strip: Strip) -> int:
    return sum(int(value or 0) for value in metric.formula.values(strip.columns))


def _rank(question: Question, order: Metric, top: int, names: Mapping[Key, str]) -> Keep:
    """Return the `top` keys by a metric, largest first, and whether there are more."""
    assert question.by is not None
    ranked = replace(
        question,
        step=None,
        facts=ALWAYS | order.facts,
        histograms=frozenset({order.formula.histogram} - {""}),
    )
    pieces = plan(ranked)
    if question.by == "user_id":
        if not isinstance(order.formula, Sum):
            raise ValueError(f"users can be ordered by a sum only, and {order.key} is none")
        users = largest(ranked, pieces, facts=order.facts, most=top + 1)
        return Keep(users[:top], others=len(users) > top)
    cells = gather(ranked, pieces)
    values = order.formula.values(columns_of(list(cells.values())))
    return _largest({key: value for (_, key), value in zip(cells, values, strict=True)}, top, names)


def _largest(values: Mapping[Key, Value], top: int, names: Mapping[Key, str]) -> Keep:
    together = overflow(names)
    largest_first = sorted(values, key=lambda key: (values[key] is None, -(values[key] or 0), key))
    keys = [key for key in largest_first if key != together][:top]
    return Keep(keys, others=len(values) > len(keys))


def _readings(asked: Sequence[Metric], totals: Totals, complete: datetime) -> dict[str, Reading]:
    cell = columns_of([totals])
    return {metric.key: _reading(metric, cell, complete) for metric in asked}


def _reading(metric: Metric, cell: Columns, complete: datetime) -> Reading:
    (value,) = metric.formula.values(cell) if cell["requests"] != [0] else (metric.empty,)
    return Reading(metric.key, value, metric.formula.samples(cell)[0], complete, cell["unpriced"][0])


def _on_grid(strip: Strip | None, seconds: Sequence[int]) -> Columns:
    """Return the cells of one key in the order of the grid, with nothing in the buckets that have no call."""
    if strip is None:
        return {name: [*nothing] * len(seconds) for name, nothing in _EMPTY.items()}
    if strip.seconds == seconds:
        return strip.columns
    place = dict(zip(strip.seconds, count(), strict=False))
    places = list(map(place.get, seconds, repeat(len(place))))
    pick = _picker(places)
    return {name: pick([*column, *_EMPTY[name]]) for name, column in strip.columns.items()}


def _picker(places: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    return itemgetter(*places) if len(places) > 1 else lambda column: [column[place] for place in places]


def _line(metric: Metric, name: str, columns: Columns, grid: _Grid) -> Series:
    values, samples = tuple(metric.formula.values(columns)), tuple(metric.formula.samples(columns))
    if coming := len(grid.starts) - grid.begun:
        # What has not happened yet is unknown, not zero.
        values = (*values[: grid.begun], *repeat(None, coming))
        samples = (*samples[: grid.begun], *repeat(0, coming))
    return Series(metric.key, name, grid.starts, grid.step, values, samples, grid.complete_to)


def _difference(value: Value, other: Value) -> Value:
    if value is None or other is None:
        return None
    return _EXACT.subtract(Decimal(value), Decimal(other)) if isinstance(value, Decimal) else value - other


def _relative(value: Value, other: Value) -> Decimal | None:
    difference = _difference(value, other)
    return None if difference is None or other is None or other == 0 else _EXACT.divide(difference, other)
