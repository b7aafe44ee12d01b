"""One look at the data for one page: what several panels need is asked once.

The range shown may still be running; then the comparison is cut at the same elapsed part, so that a half day is never
held against a whole one.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeVar

from django.conf import settings

from alerting.models import OPEN, Alert
from dashboard.query import DAY, HOUR, DashboardQuery
from metrics import asks, limits, queries
from metrics.capacity import Capacity, capacity
from metrics.comparison import Comparison
from metrics.limits import Headroom
from metrics.queries import Answer
from metrics.readings import Breakdown, Reading, Series
from metrics.slices import Dimension
from metrics.steps import Steps, nothing
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
# The hours of the weeks before, where a page asks for them: see `metrics.comparison`.
HOURS: Final = "hours"
FEATURE_COLUMNS: Final = ("spend", "requests", "latency_p95", "error_rate")


class Parts(NamedTuple):
    """A sum over time by one property, as something a panel needs."""

    metric: str
    by: Dimension


# What panels can need: a name of `Look._steps`, or parts over time.
Need = str | Parts


class Look:
    """Readings of one query. What a page needs is read ahead together; whatever else is asked for is read by itself.

    A reading that failed raises when it is looked at, so that the panel it belongs to fails alone.
    """

    def __init__(self, query: DashboardQuery) -> None:
        self.query = query
        self.now = query.now
        self._read: dict[Callable[[Look], Any], Any] = {}
        self._answers: dict[Hashable, Answer[Any]] = {}

    def once(self, read: Callable[["Look"], T]) -> T:
        """Return what `read` finds, read once however many panels ask."""
        if read not in self._read:
            self._read[read] = read(self)
        found: T = self._read[read]
        return found

    def ahead(self, needs: Iterable[Need], more: Mapping[str, Steps[Any]] | None = None) -> None:
        """Read what panels need, and the answers to some more questions by name, with a few statements."""
        asked: dict[Hashable, Steps[Any]] = {need: self._steps(need) for need in needs}
        self._answers |= queries.together(asked | dict(more or {}))

    def has(self, names: Iterable[str]) -> bool:
        """Return whether all these were read ahead."""
        return all(name in self._answers for name in names)

    def answer(self, name: Need) -> Any:
        """Return an answer that was read ahead, or read it now."""
        if name not in self._answers:
            self.ahead([name])
        return self._answers[name].get()

    def _steps(self, need: Need) -> Steps[Any]:
        slice_, now = self.query.slice, self.now
        if isinstance(need, Parts):
            (metric, by), step = need, self.query.bucket
            return asks.several_series([metric], self.window, slice_, bucket=step, by=by, top=5, now=now)
        match need:
            case "readings":
                return asks.values(HEADLINE, self.elapsed, slice_, now=now)
            case "earlier_readings" if self.earlier is not None:
                return asks.values(HEADLINE, self.earlier, slice_, now=now)
            case "timeline":
                return asks.several_series(TIMELINE, self.window, slice_, bucket=self.query.bucket, now=now)
            case "earlier_timeline" if (window := self._earlier_window) is not None:
                metrics, step = ("requests", "latency_p95"), self.earlier_bucket
                return asks.several_series(metrics, window, slice_, bucket=step, now=now)
            case "features":
                return asks.breakdown("feature", FEATURE_COLUMNS, self.elapsed, slice_, top=8, now=now)
            case "earlier_features" if self.earlier is not None:
                return asks.breakdown("feature", ("spend",), self.earlier, slice_, top=100, now=now)
            case "month":
                return asks.values(("spend",), self.month, slice_, now=now)
            case "complete_to":
                return asks.complete_to(slice_.project_id, now=now)
        return nothing()

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

    @property
    def month(self) -> Window:
        """The month so far, whatever the range shown is."""
        start = self.now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return Window(start, self.now)

    @property
    def readings(self) -> dict[str, Reading]:
        found: dict[str, Reading] = self.answer("readings")
        return found

    @property
    def earlier_readings(self) -> dict[str, Reading]:
        return self.answer("earlier_readings") or {}

    @cached_property
    def timeline(self) -> dict[str, Series]:
        return {metric: series[0] for metric, series in self.answer("timeline").items()}

    @property
    def earlier_bucket(self) -> timedelta:
        """Minutes are kept for days only: an older comparison is drawn by the hour."""
        kept = timedelta(days=settings.RETENTION_DAYS["facet_minute"])
        is_young = self.earlier is not None and self.earlier.start > self.now - kept + DAY
        return self.query.bucket if is_young else max(self.query.bucket, HOUR)

    @property
    def _earlier_window(self) -> Window | None:
        """The comparison over time, whole even where the range itself is still running."""
        shift, step = self.query.shift, self.earlier_bucket
        # Two or three points are no line to compare with.
        if shift is None or self.window.duration < 6 * step:
            return None
        start = floor(self.window.start - shift, step)
        return Window(start, max(self.window.end - shift, start + step))

    @cached_property
    def earlier_timeline(self) -> dict[str, Series]:
        return {metric: series[0] for metric, series in (self.answer("earlier_timeline") or {}).items()}

    @cached_property
    def comparison(self) -> Comparison | None:
        """The elapsed part against the comparison; None without one."""
        if self.earlier is None:
            return None
        hours = (lambda: self.answer(HOURS)) if self.has([HOURS]) else None
        return Comparison(self.elapsed, self.earlier, self.query.slice, now=self.now, hours=hours)

    def parts_over_time(self, metric: str, by: Dimension) -> tuple[Series, ...]:
        found: tuple[Series, ...] = self.answer(Parts(metric, by))[metric]
        return found

    @property
    def features(self) -> Breakdown:
        found: Breakdown = self.answer("features")
        return found

    @cached_property
    def earlier_features(self) -> dict[str, Reading]:
        """Spend by feature in the comparison; empty without one."""
        found: Breakdown | None = self.answer("earlier_features")
        return {} if found is None else {part.key: part.readings["spend"] for part in found.parts}

    @property
    def month_to_date(self) -> Reading:
        found: Reading = self.answer("month")["spend"]
        return found

    @cached_property
    def open_alerts(self) -> list[Alert]:
        """The project's alerts that are not over, oldest first."""
        found = Alert.objects.filter(project=self.query.project).exclude(state=Alert.State.RESOLVED)
        return list(found.order_by("opened_at"))

    @property
    def firing(self) -> tuple[Alert, ...]:
        return tuple(alert for alert in self.open_alerts if alert.state in OPEN)

    @cached_property
    def headroom(self) -> Headroom:
        """The provider's limits; of all filters only the environment and the model say anything about them."""
        query = self.query
        return limits.headroom(
            query.slice.project_id,
            self.window,
            query.bucket,
            environment=query.environment,
            model=query.model,
            beforehand=self.answer("limits"),
            now=self.now,
        )

    @cached_property
    def capacity(self) -> Capacity:
        """How the application's own processes stand now."""
        return capacity(self.query.slice.project_id, now=self.now)

    @property
    def complete_to(self) -> datetime:
        """Every call received before this time is in all the numbers that were read."""
        found: datetime = self.answer("complete_to")
        read = (answer.found() for answer in self._answers.values())
        return min([found, *(at for value in read if (at := _complete_to(value)) is not None)])


def _complete_to(value: object) -> datetime | None:
    """Return how complete an answer is; all its parts come from one look at the data."""
    if isinstance(value, Breakdown | Reading | Series):
        return value.complete_to
    if isinstance(value, Mapping):
        return _complete_to(next(iter(value.values()), None))
    return _complete_to(value[0]) if isinstance(value, tuple) and value else None
