"""Asks: the questions of `metrics.queries` in steps, so that a page can put several of them at once.

`queries.together({"now": asks.values(…), "over time": asks.several_series(…)})` reads what both need in the same
statements. Arguments and answers are those of the functions of the same name in `metrics.queries`.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count, repeat
from operator import itemgetter
from typing import Any, Final, NamedTuple

from metrics import breaker_time
from metrics.catalog import DIMENSIONS_OF, METRICS, Metric, Source
from metrics.formulas import ALWAYS, Columns, Sum, Totals, columns_of
from metrics.gather import Keep, Strip, gather, gather_rest, gather_strips, largest
from metrics.marks import first_day_lacking
from metrics.plan import Piece, plan
from metrics.readings import Breakdown, Part, Reading, Series, Value
from metrics.selection import Key, Question, labels, overflow, resolve
from metrics.slices import Dimension, Slice
from metrics.steps import Steps, beside, nothing
from metrics.watermark import complete_to, of_pieces
from metrics.windows import FOREVER, Window, seconds_of

__all__ = ["breakdown", "complete_to", "several_series", "values"]

_NOTHING: Final = Totals()
# All that a point of a series needs beside its metrics.
_COUNTED: Final = frozenset({"requests"})
# What each column holds where there were no calls.
_EMPTY: Final = columns_of([_NOTHING])
# What counts the single things a metric is about.
_COUNT_OF: Final[Mapping[Source, str]] = {"calls": "requests", "scores": "scores"}
# All parts are read when there are at most so many times those that get a line.
_READ_AT_ONCE: Final = 2


class _Grid(NamedTuple):
    """What all series of one answer share."""

    starts: tuple[datetime, ...]
    step: timedelta
    begun: int
    """The buckets that have begun."""
    complete_to: datetime


def values(metrics: Sequence[str], window: Window, slice_: Slice, *, now: datetime) -> Steps[dict[str, Reading]]:
    """Find several metrics of the same calls, by key."""
    asked = _asked(metrics, slice_)
    if asked[0].source == "breakers":
        return (yield from breaker_time.values(asked[0].key, window, slice_, now=now))
    question = yield from _question(asked, window, slice_, now=now)
    if question is None:
        return _readings(asked, _NOTHING, now)
    pieces = plan(question)
    complete, cells = yield from beside(of_pieces(slice_.project_id, pieces, now=now), gather(question, pieces))
    return _readings(asked, cells.get(0, _NOTHING), complete)


def several_series(
    metrics: Sequence[str],
    window: Window,
    slice_: Slice,
    *,
    bucket: timedelta,
    by: Dimension | None = None,
    top: int = 5,
    now: datetime,
) -> Steps[dict[str, tuple[Series, ...]]]:
    """Find the series of several metrics, by key."""
    asked = _asked(metrics, slice_, by)
    if asked[0].source == "breakers":
        return (yield from breaker_time.series(asked[0].key, window, slice_, bucket=bucket, by=by, top=top, now=now))
    question, names = yield from beside(
        _question(asked, window, slice_, now=now, step=bucket, by=by), _names(slice_.project_id, by)
    )
    strips: Mapping[Key, Strip] = {}
    complete = now
    keys: Sequence[Key] = [0] if by is None else []
    if question is not None:
        pieces = plan(question)
        complete, (strips, keys) = yield from beside(
            of_pieces(slice_.project_id, pieces, now=now), _lines(question, pieces, asked[0], top, names)
        )
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
) -> Steps[Breakdown]:
    """Find the parts with the largest `order_by` (default: the first metric), and the rest together."""
    asked = _asked(metrics, slice_, dimension)
    if asked[0].source == "breakers":
        return (yield from breaker_time.breakdown(asked[0].key, dimension, window, slice_, top=top, now=now))
    order = METRICS[order_by] if order_by is not None else asked[0]
    question = yield from _question(asked, window, slice_, now=now, by=dimension)
    if question is None:
        return Breakdown(dimension, (), None, Part("", _readings(asked, _NOTHING, now)), now)
    pieces = plan(question)
    complete, names, ranked = yield from beside(
        of_pieces(slice_.project_id, pieces, now=now),
        labels(slice_.project_id, dimension),
        _ranked(question, order, top),
    )
    keep = _keep(ranked, top, names)
    cells = yield from gather(question, pieces, keep)

    def part(name: str, totals: Totals) -> Part:
        return Part(name, _readings(asked, totals, complete))

    total = Totals()
    for totals in cells.values():
        total.add(totals)
    return Breakdown(
        dimension,
        tuple(part(names.get(key, str(key)), cells.get(key, _NOTHING)) for key in keep.keys),
        part(names[None], cells.get(None, _NOTHING)) if keep.others else None,
        part("", total),
        complete,
    )


def _asked(metrics: Iterable[str], slice_: Slice, by: Dimension | None = None) -> list[Metric]:
    """Return the metrics, all of them of one source that knows the conditions and the cut."""
    asked = [METRICS[key] for key in metrics]
    source, *others = sorted({metric.source for metric in asked})
    if others:
        raise ValueError(f"metrics of {source} and {others[0]} are asked for apart")
    unknown = {*slice_.filters, *([by] if by else [])}.difference(DIMENSIONS_OF[source])
    if unknown:
        raise ValueError(f"of {source} it is not known: {', '.join(sorted(unknown))}")
    return asked


def _question(
    asked: Sequence[Metric],
    window: Window,
    slice_: Slice,
    *,
    now: datetime,
    step: timedelta | None = None,
    by: Dimension | None = None,
) -> Steps[Question | None]:
    """Find the question to put to the tables; None when no call can match."""
    by_user = by == "user_id" or slice_.user_id != ""
    filters, lacking = yield from beside(
        resolve(slice_), first_day_lacking(slice_.project_id, window) if by_user else nothing()
    )
    if filters is None:
        return None
    return Question(
        slice_.project_id,
        filters,
        window,
        now,
        facts=_always(asked[0], step).union(*(metric.facts for metric in asked)),
        histograms=frozenset(metric.formula.histogram for metric in asked if metric.formula.histogram),
        step=step,
        by=by,
        months_until=lacking or FOREVER,
    )


def _always(metric: Metric, step: timedelta | None = None) -> frozenset[str]:
    """Return the facts that every answer needs beside its metrics."""
    if metric.source == "scores":
        return METRICS[_COUNT_OF["scores"]].facts
    return ALWAYS if step is None else _COUNTED


def _names(project_id: int, by: Dimension | None) -> Steps[Mapping[Key, str]]:
    if by is None:
        return {0: ""}
    return (yield from labels(project_id, by))


def _lines(
    question: Question, pieces: Sequence[Piece], metric: Metric, top: int, names: Mapping[Key, str]
) -> Steps[tuple[Mapping[Key, Strip], Sequence[Key]]]:
    """Find the cells of the keys worth a line of their own, and those keys in order; None is all others together.

    A rate or a latency is no reason for a line, so keys go by how many there are then.
    """
    if question.by is None:
        return (yield from gather_strips(question, pieces, None)), [0]
    order = metric if isinstance(metric.formula, Sum) else METRICS[_COUNT_OF[metric.source]]
    if question.by == "user_id" or len(names) > _READ_AT_ONCE * top:
        keep = _keep((yield from _ranked(question, order, top)), top, names)
        strips: Mapping[Key, Strip] = yield from gather_strips(question, pieces, keep)
    else:
        # Most of them will be shown: reading all costs less than asking first which.
        strips = yield from gather_strips(question, pieces, None)
        keep = _largest({key: _sum_of(order, strip) for key, strip in strips.items()}, top, names)
        if keep.others:
            strips = {**strips, **(yield from gather_rest(question, pieces, keep.keys))}
    return strips, [*keep.keys, *([None] if keep.others else [])]


def _sum_of(metric: Metric, strip: Strip) -> int:
    return sum(int(value or 0) for value in metric.formula.values(strip.columns))


def _ranked(question: Question, order: Metric, top: int) -> Steps[Sequence[Key] | Mapping[Key, Value]]:
    """Find the keys with their values in a metric; of users only the first ones, in order."""
    assert question.by is not None
    ranked = replace(
        question,
        step=None,
        facts=_always(order) | order.facts,
        histograms=frozenset({order.formula.histogram} - {""}),
    )
    pieces = plan(ranked)
    if question.by == "user_id":
        if not isinstance(order.formula, Sum):
            raise ValueError(f"users can be ordered by a sum only, and {order.key} is none")
        return (yield from largest(ranked, pieces, facts=order.facts, most=top + 1))
    cells = yield from gather(ranked, pieces)
    return dict(zip(cells, order.formula.values(columns_of(list(cells.values()))), strict=True))


def _keep(ranked: Sequence[Key] | Mapping[Key, Value], top: int, names: Mapping[Key, str]) -> Keep:
    """Return the `top` keys, largest first, and whether there are more."""
    if isinstance(ranked, Mapping):
        return _largest(ranked, top, names)
    return Keep(ranked[:top], others=len(ranked) > top)


def _largest(values: Mapping[Key, Value], top: int, names: Mapping[Key, str]) -> Keep:
    together = overflow(names)
    largest_first = sorted(values, key=lambda key: (values[key] is None, -(values[key] or 0), key))
    keys = [key for key in largest_first if key != together][:top]
    return Keep(keys, others=len(values) > len(keys))


def _readings(asked: Sequence[Metric], totals: Totals, complete: datetime) -> dict[str, Reading]:
    cell = columns_of([totals])
    return {metric.key: _reading(metric, cell, complete) for metric in asked}


def _reading(metric: Metric, cell: Columns, complete: datetime) -> Reading:
    (value,) = metric.formula.values(cell)
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
