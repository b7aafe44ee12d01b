"""One look at the data for one page: what several panels need is asked once.

The range shown may still be running; then the comparison is cut at the same elapsed part, so that a half day is never
held against a whole one.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, TypeVar

from django.conf import settings

from dashboard.query import DAY, HOUR, DashboardQuery
from metrics import queries
from metrics.readings import Breakdown, Reading, Series
from metrics.slices import Dimension
from metrics.windows import Window, floor

T = TypeVar("T")
HEADLINE: Final = (
    "success_rate",
    "latency_p95",
    "requests",
    "spend",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "errors",
    "unpriced",
    "latency_p50",
    "error_rate",
)
TIMELINE: Final = (
    "requests",
    "latency_p50",
    "latency_p95",
    "latency_p99",
    "success_rate",
    "spend",
    "input_tokens",
    "output_tokens",
)
FEATURE_COLUMNS: Final = ("spend", "requests", "latency_p95", "error_rate")


class Look:
    """Readings of one query, each fetched when first asked for."""

    def __init__(self, query: DashboardQuery) -> None:
        self.query = query
        self.now = query.now
        self._read: dict[Callable[[Look], Any], Any] = {}

    def once(self, read: Callable[["Look"], T]) -> T:
        """Return what `read` finds, read once however many panels ask."""
        if read not in self._read:
            self._read[read] = read(self)
        found: T = self._read[read]
        return found

    @property
    def window(self) -> Window:
        return self.query.window

    @property
    def open_from(self) -> datetime | None:
        """The start of the bucket that is still filling; None when the range is over."""
        return floor(self.now, self.query.bucket) if self.window.contains(self.now) else None

    @property
    def elapsed(self) -> Window:
        return self.window.until(self.now)

    @property
    def earlier(self) -> Window | None:
        """The comparison, as long as the elapsed part."""
        shift = self.query.shift
        return None if shift is None else self.elapsed.shift(-shift)

    @cached_property
    def readings(self) -> dict[str, Reading]:
        return queries.values(HEADLINE, self.elapsed, self.query.slice, now=self.now)

    @cached_property
    def earlier_readings(self) -> dict[str, Reading]:
        if self.earlier is None:
            return {}
        return queries.values(HEADLINE, self.earlier, self.query.slice, now=self.now)

    @cached_property
    def timeline(self) -> dict[str, Series]:
        found = queries.several_series(TIMELINE, self.window, self.query.slice, bucket=self.query.bucket, now=self.now)
        return {metric: series[0] for metric, series in found.items()}

    @property
    def earlier_bucket(self) -> timedelta:
        """Minutes are kept for days only: an older comparison is drawn by the hour."""
        kept = timedelta(days=settings.RETENTION_DAYS["facet_minute"])
        is_young = self.earlier is not None and self.earlier.start > self.now - kept + DAY
        return self.query.bucket if is_young else max(self.query.bucket, HOUR)

    @cached_property
    def earlier_timeline(self) -> dict[str, Series]:
        """The comparison over time, whole even where the range itself is still running."""
        shift, step = self.query.shift, self.earlier_bucket
        # Two or three points are no line to compare with.
        if shift is None or self.window.duration < 6 * step:
            return {}
        start = floor(self.window.start - shift, step)
        window = Window(start, max(self.window.end - shift, start + step))
        found = queries.several_series(("requests", "latency_p95"), window, self.query.slice, bucket=step, now=self.now)
        return {metric: series[0] for metric, series in found.items()}

    def parts_over_time(self, metric: str, by: Dimension) -> tuple[Series, ...]:
        return queries.series(
            metric, self.window, self.query.slice, bucket=self.query.bucket, by=by, top=5, now=self.now
        )

    @cached_property
    def features(self) -> Breakdown:
        return queries.breakdown("feature", FEATURE_COLUMNS, self.elapsed, self.query.slice, top=8, now=self.now)

    @cached_property
    def earlier_features(self) -> dict[str, Reading]:
        """Spend by feature in the comparison; empty without one."""
        if self.earlier is None:
            return {}
        found = queries.breakdown("feature", ("spend",), self.earlier, self.query.slice, top=100, now=self.now)
        return {part.key: part.readings["spend"] for part in found.parts}
