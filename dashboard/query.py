"""The query: which calls, which time, compared with what. The same for pages, exports and links in mails."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from ingest.vocabulary import ErrorCategory
from metrics.slices import Slice
from metrics.windows import Window, ceil, floor
from projects.models import Project

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

PRESETS: Final = {"1h": "1 hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days", "30d": "30 days"}
DEFAULT_FROM: Final = "now-24h"
# The day that has begun, in UTC.
TODAY: Final = "today"
LONGEST: Final = timedelta(days=396)
# At most 96 points per line: more than that a panel cannot show apart.
_BUCKETS: Final = (
    (HOUR, MINUTE),
    (6 * HOUR, 5 * MINUTE),
    (DAY, 15 * MINUTE),
    (7 * DAY, 2 * HOUR),
    (30 * DAY, 12 * HOUR),
    (90 * DAY, DAY),
    (LONGEST + DAY, 7 * DAY),
)
COMPARISONS: Final = {
    "7d": "same time last week",
    "1d": "same time yesterday",
    "prev": "the period before",
    "off": "nothing",
}
STATUSES: Final = ("ok", "degraded", "error", "rejected", "cancelled", "failed")
ERRORS: Final = frozenset(category.name.lower() for category in ErrorCategory if category is not ErrorCategory.NONE)
# Calls that were paid for and brought no usable answer, by why.
WASTE: Final = ("failed", "truncated", "invalid")
FILTERS: Final = (
    *("feature", "model", "prompt_type", "version", "key", "release"),
    *("user", "session", "status", "err", "failure", "waste"),
)
# What only single calls have: measured numbers are not kept by these.
ONLY_LOGS: Final = ("session", "status", "failure", "waste")
# What a page may be cut by.
GROUPS: Final = {
    "feature": "feature",
    "prompt_type": "prompt type",
    "version": "prompt version",
    "model": "model",
    "user": "user",
    "key": "API key",
    "env": "environment",
    "release": "release",
}
# What a table may be ordered by, largest first: metrics, and the change against the comparison.
SORTS: Final = (
    *("requests", "input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens", "spend"),
    *("cost_per_request", "cost_per_success", "fully_loaded_cost", "latency_p95", "error_rate", "cache_hit_rate"),
    "change",
)
# Choices of single pages: they do not go along to the next.
OPTIONS: Final = ("g", "metric", "sort", "x")
LABELS: Final = {
    "g": "grouping",
    "sort": "order",
    "x": "factor",
    "prompt_type": "prompt type",
    "version": "prompt version",
    "key": "API key",
    "err": "error",
    "failure": "failure group",
}
SPANS: Final = {"m": MINUTE, "h": HOUR, "d": DAY}


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in force, and the changes that take it away."""

    label: str
    value: str
    without: str
    """The query string of the same page without this filter."""


@dataclass(frozen=True, slots=True)
class DashboardQuery:
    """What an address asks for, checked. `frm` and `to` are kept as written, so that a link stays relative."""

    project: Project | None
    now: datetime
    start: datetime
    end: datetime
    frm: str = DEFAULT_FROM
    to: str = "now"
    environment: str = ""
    feature: str = ""
    model: str = ""
    prompt_type: str = ""
    version: str = ""
    key: str = ""
    release: str = ""
    user: str = ""
    session: str = ""
    status: str = ""
    err: str = ""
    failure: str = ""
    """The number of a failure group."""
    failure_words: str = field(default="", compare=False)
    """What people call that group."""
    waste: str = ""
    cmp: str = "7d"
    against: datetime | None = None
    """The start of the comparison where the address names a time and not one of COMPARISONS."""
    group: str = ""
    metric: str = ""
    sort: str = ""
    factor: Decimal = Decimal(1)
    """What traffic is multiplied by in a what-if."""
    before: UUID | None = None
    notices: tuple[str, ...] = field(default=(), compare=False)

    @property
    def is_live(self) -> bool:
        """Return whether the range ends at now and moves with it."""
        return self.to == "now"

    @property
    def preset(self) -> str:
        """Return the key of PRESETS this range is, or nothing."""
        return self.frm.removeprefix("now-") if self.is_live and self.frm.removeprefix("now-") in PRESETS else ""

    @property
    def bucket(self) -> timedelta:
        span = self.end - self.start
        return next(step for longest, step in _BUCKETS if span <= longest)

    @property
    def window(self) -> Window:
        """Return the range on the grid of its buckets; a live one has its newest bucket still open."""
        step = self.bucket
        end = ceil(self.end, step)
        return Window(end - ceil_span(self.end - self.start, step) if self.is_live else floor(self.start, step), end)

    @property
    def exact(self) -> Window:
        """Return the range as asked for, which is what a list of calls shows."""
        return Window(self.start, self.end)

    @property
    def slice(self) -> Slice:
        assert self.project is not None
        return Slice(
            self.project.pk,
            environment=self.environment,
            feature=self.feature,
            prompt_type=self.prompt_type,
            prompt_version=self.version,
            model=self.model,
            error=self.err,
            key=self.key,
            release=self.release,
            user_id=self.user,
        )

    @property
    def shift(self) -> timedelta | None:
        """Return how far back the comparison lies; for long ranges whole weeks, so that weekdays stay aligned."""
        span = self.window.duration
        if self.against is not None:
            return max(self.window.start - self.against, self.bucket)
        if self.cmp == "off":
            return None
        if self.cmp == "prev":
            return span
        step = DAY if self.cmp == "1d" else 7 * DAY
        return ceil_span(span, step)

    @property
    def compared_with(self) -> str:
        """Return the comparison in words, as short as a tile allows."""
        if self.against is not None:
            return f"{self.against:%-d %b, %H:%M}"
        if self.shift == 7 * DAY:
            return "last week"
        if self.shift == DAY:
            return "yesterday"
        return "the period before"

    @property
    def _written(self) -> dict[str, str]:
        """Return all parts of an address in their order; those that are the default are empty."""
        return {
            "project": self.project.slug if self.project is not None else "",
            "env": self.environment,
            "from": self.frm if self.frm != DEFAULT_FROM or not self.is_live else "",
            "to": self.to if not self.is_live else "",
            "cmp": self.cmp if self.cmp != "7d" else "",
            **{name: getattr(self, name) for name in FILTERS},
            "g": self.group,
            "metric": self.metric,
            "sort": self.sort,
            "x": f"{self.factor.normalize():f}" if self.factor != 1 else "",
        }

    @property
    def parameters(self) -> dict[str, str]:
        """Return the parts of the address that are not the default."""
        return {name: value for name, value in self._written.items() if value != ""}

    def string(self, **changes: str) -> str:
        """Return the query string of this query with some parameters changed; an empty value takes one away."""
        merged = {**self._written, **changes}
        return "?" + urlencode({name: value for name, value in merged.items() if value != ""})

    @property
    def here(self) -> str:
        return self.string()

    @property
    def chips(self) -> list[Chip]:
        return [
            Chip(LABELS.get(name, name), self.words(name), self.string(**{name: ""}))
            for name in FILTERS
            if getattr(self, name) != ""
        ]

    def words(self, name: str) -> str:
        """Return the value of a filter as people read it."""
        value: str = getattr(self, name)
        return self.failure_words if name == "failure" and value != "" else value

    @property
    def has_filters(self) -> bool:
        return any(getattr(self, name) != "" for name in FILTERS)

    @property
    def without_filters(self) -> str:
        return self.string(**dict.fromkeys(FILTERS, ""))

    @property
    def earlier(self) -> str:
        """Return the query string of the range before this one, as long."""
        span = self.end - self.start
        return self.string(**{"from": stamp(self.start - span), "to": stamp(self.start)})

    @property
    def later(self) -> str:
        """Return the query string of the range after this one; one that would reach beyond now moves with it."""
        span = self.end - self.start
        if self.end + span < self.now:
            return self.string(**{"from": stamp(self.end), "to": stamp(self.end + span)})
        return self.live

    @property
    def live(self) -> str:
        """Return the query string of a range of this length that ends at now."""
        return self.string(**{"from": f"now-{ceil_span(self.end - self.start, MINUTE) // MINUTE}m", "to": ""})

    @property
    def other_comparison(self) -> str:
        """Return the query string without the comparison; with the usual one when there is none."""
        return self.string(cmp="off" if self.cmp != "off" else "")

    @property
    def fixed(self) -> str:
        """Return the query string of the same range as times that do not move: what is shared is what was seen."""
        return self.string(**{"from": stamp(self.start), "to": stamp(self.end)})

    @property
    def elsewhere(self) -> str:
        """Return the query string for another page: project, environment, time and comparison."""
        return self.string(**dict.fromkeys((*FILTERS, *OPTIONS), ""))

    @property
    def wider(self) -> str:
        """Return the query string of the next longer preset."""
        longer = [key for key in PRESETS if _span(key) > self.end - self.start]
        return self.string(**{"from": f"now-{longer[0] if longer else '30d'}", "to": ""})


def ceil_span(span: timedelta, step: timedelta) -> timedelta:
    """Return the shortest multiple of `step` that is not shorter than `span`, and at least one."""
    return max(-(-span // step), 1) * step


def moved(query: DashboardQuery, window: Window) -> DashboardQuery:
    """Return the same query over another, fixed range."""
    return replace(query, start=window.start, end=window.end, frm=stamp(window.start), to=stamp(window.end))


def stamp(at: datetime) -> str:
    """Return a time as addresses carry it."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _span(preset: str) -> timedelta:
    return int(preset[:-1]) * SPANS[preset[-1]]
