"""What the Quality page reads, each once for all of its panels."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from dashboard.look import Look
from metrics import queries, scores
from metrics.intervals import Interval, wilson
from metrics.readings import Reading, Series
from metrics.scores import Scores

HEADLINE: Final = (
    *("valid_rate", "repair_rate", "truncation_rate", "refusal_rate", "output_length"),
    *("requests", "errors", "cancelled"),
)
TIMELINE: Final = ("valid_rate", "repair_rate", "truncation_rate", "refusal_rate", "output_length")


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


def told(look: Look) -> Scores:
    return scores.scores(look.elapsed, look.earlier, look.query.slice)


def counted(reading: Reading | None) -> tuple[int, int]:
    """Return how many of how many calls a share stands for."""
    if reading is None or reading.value is None:
        return 0, 0
    return round(Decimal(reading.value) * reading.sample), reading.sample


def interval(reading: Reading | None) -> Interval | None:
    """Return within which the true share lies; None when nothing was counted."""
    return wilson(*counted(reading))
