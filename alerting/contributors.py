"""Who makes up the number an alert is about: the largest parts, by the dimensions that can answer."""

from datetime import datetime
from fractions import Fraction
from typing import Any, Final

from alerting.findings import written
from metrics import queries, units
from metrics.catalog import METRICS
from metrics.formulas import Percentile
from metrics.readings import Part
from metrics.slices import NONE, Dimension, Slice
from metrics.windows import Window

# A rate has no parts that add up; the sum it is made of has.
PARTS_OF: Final = {
    "error_rate": "errors",
    "success_rate": "errors",
    "degraded_rate": "requests",
    "cost_per_request": "spend",
    "cache_hit_rate": "cache_read_tokens",
    "queue_wait": "requests",
}
# At most five in all: more is a table, and the page has it.
PLACES: Final = {1: (5,), 2: (3, 2), 3: (2, 2, 1)}
# Features with fewer calls than this have a latency by chance.
ENOUGH: Final = units.ENOUGH_EVENTS
LOOKED_AT: Final = 20

Contributor = dict[str, Any]


def contributors(metric: str, window: Window, slice_: Slice, *, now: datetime) -> list[Contributor]:
    """Return up to five parts: {dimension, name, metric, value, share}; share is None where parts do not add up."""
    ranked = PARTS_OF.get(metric, metric)
    asked: list[Dimension] = ["feature", "model"]
    if ranked == "errors":
        asked.insert(0, "error")
    dimensions = [dimension for dimension in asked if not getattr(slice_, dimension)]
    found: list[Contributor] = []
    for dimension, places in zip(dimensions, PLACES.get(len(dimensions), ()), strict=False):
        rows = _by_latency if isinstance(METRICS[ranked].formula, Percentile) else _by_sum
        found += rows(dimension, ranked, window, slice_, now)[:places]
    return found


def _by_sum(dimension: Dimension, metric: str, window: Window, slice_: Slice, now: datetime) -> list[Contributor]:
    parts = queries.breakdown(dimension, [metric], window, slice_, top=5, now=now)
    total = _exact(parts.total, metric)
    named = [part for part in parts.parts if part.key != NONE and _exact(part, metric) > 0]
    return [_row(dimension, part, metric, share=_exact(part, metric) / total) for part in named]


def _by_latency(dimension: Dimension, metric: str, window: Window, slice_: Slice, now: datetime) -> list[Contributor]:
    parts = queries.breakdown(
        dimension, ["requests", metric], window, slice_, order_by="requests", top=LOOKED_AT, now=now
    )
    known = [part for part in parts.parts if part.key != NONE and part.readings[metric].sample >= ENOUGH]
    slowest = sorted(known, key=lambda part: _exact(part, metric), reverse=True)
    return [_row(dimension, part, metric, share=None) for part in slowest]


def _row(dimension: Dimension, part: Part, metric: str, share: Fraction | None) -> Contributor:
    return {
        "dimension": dimension,
        "name": part.key,
        "metric": metric,
        "value": written(part.readings[metric].value),
        "share": written(share),
    }


def _exact(part: Part, metric: str) -> Fraction:
    value = part.readings[metric].value
    return Fraction(0) if value is None else Fraction(value)
