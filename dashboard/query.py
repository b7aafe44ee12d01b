"""The URL grammar: which calls, which time, compared with what. One parser for pages, exports and links in mails.

Nothing in an address can fail a page: a value that makes no sense is left out, and the page says so.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from django.http import QueryDict

from ingest.vocabulary import ErrorCategory
from metrics.slices import Slice
from metrics.windows import Window, ceil, floor
from projects.models import Project

T = TypeVar("T")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

PRESETS: Final = {"1h": "1 hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days", "30d": "30 days"}
DEFAULT_FROM: Final = "now-24h"
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
# Name in the address → field here.
_TEXTS: Final = {name: name for name in ("feature", "user", "session", "model", "prompt_type")}
FILTERS: Final = ("feature", "model", "prompt_type", "user", "session", "status", "err")
# What only single calls have: measured numbers are not kept by these.
ONLY_LOGS: Final = ("session", "status")
_LABELS: Final = {"prompt_type": "prompt type", "err": "error"}
_RELATIVE: Final = re.compile(r"now(?:-(\d{1,5})([mhd]))?")
_SPANS: Final = {"m": MINUTE, "h": HOUR, "d": DAY}


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
    user: str = ""
    session: str = ""
    status: str = ""
    err: str = ""
    cmp: str = "7d"
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
            model=self.model,
            error=self.err,
            user_id=self.user,
        )

    @property
    def shift(self) -> timedelta | None:
        """Return how far back the comparison lies; for long ranges whole weeks, so that weekdays stay aligned."""
        span = self.window.duration
        if self.cmp == "off":
            return None
        if self.cmp == "prev":
            return span
        step = DAY if self.cmp == "1d" else 7 * DAY
        return ceil_span(span, step)

    @property
    def compared_with(self) -> str:
        """Return the comparison in words, as short as a tile allows."""
        if self.shift == 7 * DAY:
            return "last week"
        if self.shift == DAY:
            return "yesterday"
        return "the period before"

    @property
    def parameters(self) -> dict[str, str]:
        """Return the parts of the address that are not the default."""
        everything = {
            "project": self.project.slug if self.project is not None else "",
            "env": self.environment,
            "from": self.frm if self.frm != DEFAULT_FROM or not self.is_live else "",
            "to": self.to if not self.is_live else "",
            "cmp": self.cmp if self.cmp != "7d" else "",
            **{name: getattr(self, name) for name in FILTERS},
        }
        return {name: value for name, value in everything.items() if value != ""}

    def string(self, **changes: str) -> str:
        """Return the query string of this query with some parameters changed; an empty value takes one away."""
        merged = {**self.parameters, **changes}
        return "?" + urlencode({name: value for name, value in merged.items() if value != ""})

    @property
    def here(self) -> str:
        return self.string()

    @property
    def chips(self) -> list[Chip]:
        return [
            Chip(_LABELS.get(name, name), value, self.string(**{name: ""}))
            for name in FILTERS
            if (value := getattr(self, name)) != ""
        ]

    @property
    def has_filters(self) -> bool:
        return any(getattr(self, name) != "" for name in FILTERS)

    @property
    def without_filters(self) -> str:
        return self.string(**dict.fromkeys(FILTERS, ""))

    @property
    def wider(self) -> str:
        """Return the query string of the next longer preset."""
        longer = [key for key in PRESETS if _span(key) > self.end - self.start]
        return self.string(**{"from": f"now-{longer[0] if longer else '30d'}", "to": ""})


def ceil_span(span: timedelta, step: timedelta) -> timedelta:
    """Return the shortest multiple of `step` that is not shorter than `span`, and at least one."""
    return max(-(-span // step), 1) * step


def parse(
    data: QueryDict,
    *,
    projects: Collection[Project],
    environments: Callable[[Project], Collection[str]],
    now: datetime,
) -> DashboardQuery:
    """Read an address. Never raises: what is not understood becomes a notice."""
    reader = _Reader(data)
    slug = reader.one_of("project", {project.slug: project for project in projects})
    project = slug if slug is not None else next(iter(projects), None)
    environment = reader.text("env")
    if environment != "" and (project is None or environment not in environments(project)):
        reader.notices.append(f"No call has come from an environment called {_short(environment)}; showing all.")
        environment = ""
    start, end, frm, to = reader.range(now)
    return DashboardQuery(
        project=project,
        now=now,
        start=start,
        end=end,
        frm=frm,
        to=to,
        environment=environment,
        status=reader.one_of("status", {word: word for word in STATUSES}) or "",
        err=reader.one_of("err", {word: word for word in ERRORS}) or "",
        cmp=reader.one_of("cmp", {word: word for word in COMPARISONS}) or "7d",
        before=reader.identifier("before"),
        **{name: reader.text(key) for key, name in _TEXTS.items()},
        notices=tuple(reader.notices),
    )


def moved(query: DashboardQuery, window: Window) -> DashboardQuery:
    """Return the same query over another, fixed range."""
    return replace(query, start=window.start, end=window.end, frm=stamp(window.start), to=stamp(window.end))


def stamp(at: datetime) -> str:
    """Return a time as addresses carry it."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class _Reader:
    """Takes values out of an address one by one and collects what it could not understand."""

    def __init__(self, data: QueryDict) -> None:
        self.data = data
        self.notices: list[str] = []

    def text(self, key: str) -> str:
        values = self.data.getlist(key)
        value = values[0].strip() if values else ""
        if len(values) > 1:
            self.notices.append(f"Only one {_LABELS.get(key, key)} at a time: showing {_short(value)}.")
        if len(value) > 200 or "\x00" in value or not value.isprintable():
            self.notices.append(f"The {_LABELS.get(key, key)} in the address is not a name and was left out.")
            return ""
        return value

    def one_of(self, key: str, known: Mapping[str, T]) -> T | None:
        value = self.text(key)
        if value != "" and value not in known:
            self.notices.append(f"There is no {_LABELS.get(key, key)} {_short(value)}; it was left out.")
        return known.get(value)

    def identifier(self, key: str) -> UUID | None:
        value = self.text(key)
        try:
            return UUID(value) if value != "" else None
        except ValueError:
            self.notices.append("The place in the list was not understood; showing the newest calls.")
            return None

    def range(self, now: datetime) -> tuple[datetime, datetime, str, str]:
        frm, to = self.text("from") or DEFAULT_FROM, self.text("to") or "now"
        start, end = self._time("from", frm, now), self._time("to", to, now)
        if start is not None and end is not None and start < end and end - start <= LONGEST and start <= now:
            return start, end, frm, to
        if start is not None and end is not None:
            self.notices.append(
                f"A range must start before it ends, in the past, and be at most {LONGEST.days} days long; "
                "showing the last 24 hours."
            )
        return now - DAY, now, DEFAULT_FROM, "now"

    def _time(self, key: str, written: str, now: datetime) -> datetime | None:
        try:
            if (match := _RELATIVE.fullmatch(written)) is not None:
                number, unit = match.groups()
                return now if number is None else now - int(number) * _SPANS[unit]
            # A plus before a zone arrives as a space.
            at = datetime.fromisoformat(re.sub(r" (?=\d\d:?\d\d$)", "+", written) if "T" in written else written)
            at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
            at = at.astimezone(UTC)
            if at.year < 2000 or at.year > 9000:
                raise ValueError("out of range")
        except (ValueError, OverflowError):
            self.notices.append(f"{_short(written)} is not a time ({key}); write now-6h or 2026-11-22T14:00:00Z.")
            return None
        return at


def _span(preset: str) -> timedelta:
    return int(preset[:-1]) * _SPANS[preset[-1]]


def _short(value: str) -> str:
    return f"“{value[:40]}…”" if len(value) > 40 else f"“{value}”"
