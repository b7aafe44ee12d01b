"""Queries: the only reader of what was measured. Pages, rules, budgets and exports all ask here.

Sums are exact for any window: whole buckets come from the rollups, the ragged ends from minutes or from the calls.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from ingest.vocabulary import Grain
from metrics.readings import Breakdown, Comparison, Reading, Series
from metrics.slices import Dimension, Slice
from metrics.windows import Window


def value(metric: str, window: Window, slice_: Slice, *, now: datetime) -> Reading:
    """Return one metric of the calls in a slice and window."""
    return values([metric], window, slice_, now=now)[metric]


def values(metrics: Sequence[str], window: Window, slice_: Slice, *, now: datetime) -> dict[str, Reading]:
    """Return several metrics of the same calls, by key, from one look at the data."""
    raise NotImplementedError


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
    """Return the series of several metrics, by key, from one look at the data; `top` is ordered by the first metric."""
    raise NotImplementedError


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
    """Return the parts with the largest `order_by` (default: the first metric), and the rest together."""
    raise NotImplementedError


def compare(metric: str, window: Window, other: Window, slice_: Slice, *, now: datetime) -> Comparison:
    """Return one metric in two windows. When `window` is not over, both are cut at the part that has passed."""
    raise NotImplementedError


def complete_to(project_id: int, *, now: datetime, grain: Grain = Grain.MINUTE) -> datetime:
    """Return the watermark: every call of the project received before this time is in what `grain` is read for."""
    raise NotImplementedError
