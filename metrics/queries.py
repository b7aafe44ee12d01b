"""Queries: the only reader of what was measured. Pages, rules, budgets and exports all ask here.

Sums are exact for any window: whole buckets come from the rollups, the ragged ends from minutes or from the calls.
A page that has many questions puts them `together`: the same questions from `metrics.asks`, with a few statements.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Context, Decimal
from typing import Final

from ingest.vocabulary import Grain
from metrics import asks, watermark
from metrics.plan import WindowTooWideError
from metrics.readings import Breakdown, Comparison, Reading, Series, Value
from metrics.slices import Dimension, Slice
from metrics.steps import Answer, alone, beside, together
from metrics.units import ENOUGH_EVENTS
from metrics.windows import Window

__all__ = [
    "Answer",
    "WindowTooWideError",
    "breakdown",
    "compare",
    "complete_to",
    "series",
    "several_series",
    "together",
    "value",
    "values",
]

_EXACT: Final = Context(prec=28)


def complete_to(
    project_id: int, *, now: datetime, grain: Grain = Grain.MINUTE, window: Window = watermark.EVER
) -> datetime:
    """Return the time before which every received call of the window is in what `grain` is read for."""
    return alone(watermark.complete_to(project_id, now=now, grain=grain, window=window))


def value(metric: str, window: Window, slice_: Slice, *, now: datetime) -> Reading:
    """Return one metric of the calls in a slice and window."""
    return values([metric], window, slice_, now=now)[metric]


def values(metrics: Sequence[str], window: Window, slice_: Slice, *, now: datetime) -> dict[str, Reading]:
    """Return several metrics of the same calls, by key, from one look at the data."""
    return alone(asks.values(metrics, window, slice_, now=now))


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
    return alone(asks.several_series(metrics, window, slice_, bucket=bucket, by=by, top=top, now=now))


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
    return alone(asks.breakdown(dimension, metrics, window, slice_, order_by=order_by, top=top, now=now))


def compare(metric: str, window: Window, other: Window, slice_: Slice, *, now: datetime) -> Comparison:
    """Return one metric in two windows. When `window` is not over, both are cut at the part that has passed."""
    passed = max(min(window.duration, now - window.start), timedelta())
    cut = other.until(other.start + passed) if passed < window.duration else other
    here, there = alone(
        beside(
            asks.values([metric], window.until(window.start + passed), slice_, now=now),
            asks.values([metric], cut, slice_, now=now),
        )
    )
    reading, before = here[metric], there[metric]
    return Comparison(
        reading,
        before,
        difference=_difference(reading.value, before.value),
        relative=_relative(reading.value, before.value),
        enough=min(reading.sample, before.sample) >= ENOUGH_EVENTS,
    )


def _difference(value: Value, other: Value) -> Value:
    if value is None or other is None:
        return None
    return _EXACT.subtract(Decimal(value), Decimal(other)) if isinstance(value, Decimal) else value - other


def _relative(value: Value, other: Value) -> Decimal | None:
    difference = _difference(value, other)
    return None if difference is None or other is None or other == 0 else _EXACT.divide(difference, other)
