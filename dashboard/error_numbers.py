"""What the Errors page reads, each once for all of its panels."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from dashboard.look import Look
from metrics import failures, queries
from metrics.failures import Failures
from metrics.readings import Reading, Series
from metrics.slices import OTHER

HEADLINE: Final = (
    *("error_rate", "errors", "requests", "attempt_error_rate", "attempts", "retry_rate"),
    *("fallback_rate", "degraded_rate"),
)
TIMELINE: Final = ("error_rate", "errors", "attempt_error_rate", "retry_rate", "fallback_rate", "degraded_rate")
LAYERS: Final = 4
_ALL_TYPES: Final = 40


def now(look: Look) -> Mapping[str, Reading]:
    return queries.values(HEADLINE, look.elapsed, look.query.slice, now=look.now)


def before(look: Look) -> Mapping[str, Reading]:
    """Return the same of the comparison; empty without one."""
    if look.earlier is None:
        return {}
    return queries.values(HEADLINE, look.earlier, look.query.slice, now=look.now)


def timeline(look: Look) -> Mapping[str, Series]:
    query = look.query
    found = queries.several_series(TIMELINE, look.window, query.slice, bucket=query.bucket, now=look.now)
    return {metric: series[0] for metric, series in found.items()}


def types(look: Look) -> list[tuple[Series, int]]:
    """Return failed calls over time and in all, by type; the most frequent first, those without failures left out."""
    query = look.query
    found = queries.series(
        "errors", look.window, query.slice, bucket=query.bucket, by="error", top=_ALL_TYPES, now=look.now
    )
    counted = [(series, total(series)) for series in found]
    return sorted(((series, count) for series, count in counted if count > 0), key=lambda one: (-one[1], one[0].key))


def layers(look: Look) -> list[Series]:
    """Return the most frequent types over time, at most `LAYERS`, and all others together."""
    found = [series for series, _ in look.once(types)]
    if len(found) <= LAYERS + 1:
        return found
    rest = found[LAYERS:]
    columns = zip(*(series.values for series in rest), strict=True)
    values = tuple(None if column[0] is None else sum(int(value or 0) for value in column) for column in columns)
    first = rest[0]
    together = Series("errors", OTHER, first.starts, first.step, values, first.samples, first.complete_to)
    return [*found[:LAYERS], together]


def groups(look: Look) -> Failures:
    return failures.failures(look.window, look.query.slice, bucket=look.query.bucket, now=look.now)


def total(series: Series) -> int:
    return int(sum((Decimal(value) for value in series.values if value is not None), Decimal(0)))
