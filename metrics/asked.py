"""What a question of the read API asks for: its parameters, each checked, with the name of the one that is wrong."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Final, get_args

from ingest.vocabulary import ErrorCategory
from metrics.catalog import DIMENSIONS_OF, Metric
from metrics.formulas import Sum
from metrics.slices import NONE, Dimension, Slice
from metrics.windows import Window, ceil, floor

LONGEST: Final = timedelta(days=396)
MOST_POINTS: Final = 1_500
MOST_PARTS: Final = 100
MOST_LINES: Final = 20

DIMENSIONS: Final[tuple[Dimension, ...]] = get_args(Dimension)
_FILTERS: Final = tuple(field.name for field in fields(Slice) if field.name != "project_id")
_OF_ALL: Final = ("from", "to", *_FILTERS)
_SPANS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_RELATIVE: Final = re.compile(r"now(?:-(\d{1,5})([mhd]))?", re.ASCII)
_BUCKET: Final = re.compile(r"(\d{1,4})([mhd])", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,4}", re.ASCII)
_ERRORS: Final = frozenset(category.name.lower() for category in ErrorCategory if category) | {NONE}


class AskedError(ValueError):
    """A question that cannot be answered; `field` is the parameter that is wrong."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True, slots=True)
class Asked:
    """Which calls, and how they are cut."""

    window: Window
    slice: Slice
    bucket: timedelta = timedelta(hours=1)
    by: Dimension | None = None
    top: int = 10


Data = Mapping[str, Sequence[str]]


def value(metric: Metric, data: Data, *, project_id: int, environment: str, now: datetime) -> Asked:
    """Read the question for one number. `environment`: the only one the key may read; empty: any. Raises AskedError."""
    return _Reader(metric, data, now, _OF_ALL).asked(project_id, environment)


def series(metric: Metric, data: Data, *, project_id: int, environment: str, now: datetime) -> Asked:
    """Read the question for a series. Raises AskedError."""
    reader = _Reader(metric, data, now, (*_OF_ALL, "bucket", "by", "top"))
    found = reader.asked(project_id, environment)
    bucket = reader.bucket(found.window)
    by = reader.dimension(is_required=False)
    if by is None and reader.text("top") != "":
        raise AskedError("top", "is for a series by something: give by, too")
    top = reader.number("top", 5, MOST_LINES)
    return Asked(found.window, found.slice, bucket, by, top)


def breakdown(metric: Metric, data: Data, *, project_id: int, environment: str, now: datetime) -> Asked:
    """Read the question for the parts of a metric. Raises AskedError."""
    reader = _Reader(metric, data, now, (*_OF_ALL, "by", "top"))
    found = reader.asked(project_id, environment)
    by = reader.dimension(is_required=True)
    if by == "user_id" and not isinstance(metric.formula, Sum):
        raise AskedError("by", f"users can be ordered by a sum only, and {metric.key} is none")
    return Asked(found.window, found.slice, by=by, top=reader.number("top", 10, MOST_PARTS))


class _Reader:
    def __init__(self, metric: Metric, data: Data, now: datetime, known: Sequence[str]) -> None:
        for name, values in data.items():
            if name not in known:
                raise AskedError(name[:64], f"is not a parameter here; there are {', '.join(known)}")
            if len(values) > 1:
                raise AskedError(name, "is given more than once")
        self._metric = metric
        self._data = data
        self._now = now

    def text(self, name: str) -> str:
        found = next(iter(self._data.get(name, [])), "")
        if len(found) > 200 or not found.isprintable():
            raise AskedError(name, "must be at most 200 printable characters")
        return found

    def asked(self, project_id: int, environment: str) -> Asked:
        filters = {name: self.text(name) for name in _FILTERS}
        if filters["error"] and filters["error"] not in _ERRORS:
            raise AskedError("error", f"must be one of {', '.join(sorted(_ERRORS))}")
        if environment and filters["environment"] not in ("", environment):
            raise AskedError("environment", f"this key reads {environment} only")
        filters["environment"] = filters["environment"] or environment
        known = DIMENSIONS_OF[self._metric.source]
        for name, written in filters.items():
            if written and name not in known:
                raise AskedError(name, f"is not known of {self._metric.source}, which {self._metric.key} is about")
        if self._metric.of_one_score and not filters["score"]:
            raise AskedError("score", f"must be the name of a score: {self._metric.key} of several means nothing")
        return Asked(self._window(), Slice(project_id, **filters))

    def _window(self) -> Window:
        start = self._time("from", self._now - timedelta(days=1))
        end = self._time("to", self._now)
        if start >= end:
            raise AskedError("from", "must be before to")
        if end - start > LONGEST:
            raise AskedError("from", f"at most {LONGEST.days} days can be asked for at once")
        return Window(start, end)

    def _time(self, name: str, default: datetime) -> datetime:
        written = self.text(name)
        if written == "":
            return default
        if (match := _RELATIVE.fullmatch(written)) is not None:
            number, unit = match.groups()
            return self._now if number is None else self._now - int(number) * _SPANS[unit]
        try:
            # A plus before a zone arrives as a space.
            at = datetime.fromisoformat(re.sub(r" (?=\d\d:?\d\d$)", "+", written))
            if at.tzinfo is None:
                raise ValueError("no zone")
            at = at.astimezone(UTC)
        except (ValueError, OverflowError):
            raise AskedError(name, "must be a time like 2026-11-22T14:00:00Z or now-6h") from None
        if not 2000 <= at.year <= 9000:
            raise AskedError(name, "must lie between the years 2000 and 9000")
        return at

    def bucket(self, window: Window) -> timedelta:
        written = self.text("bucket") or "1h"
        match = _BUCKET.fullmatch(written)
        step = timedelta() if match is None else int(match[1]) * _SPANS[match[2]]
        if not step:
            raise AskedError("bucket", "must be a span like 5m, 1h or 1d")
        points = (ceil(window.end, step) - floor(window.start, step)) // step
        if points > MOST_POINTS:
            raise AskedError("bucket", f"makes {points:,} points; at most {MOST_POINTS:,} can be asked for at once")
        return step

    def dimension(self, *, is_required: bool) -> Dimension | None:
        written = self.text("by")
        if written == "" and not is_required:
            return None
        known = DIMENSIONS_OF[self._metric.source]
        found = next((name for name in known if name == written), None)
        if found is None:
            raise AskedError("by", f"must be one of {', '.join(known)}")
        return found

    def number(self, name: str, default: int, most: int) -> int:
        written = self.text(name)
        if written == "":
            return default
        if _NUMBER.fullmatch(written) is None or not 1 <= int(written) <= most:
            raise AskedError(name, f"must be a whole number from 1 to {most}")
        return int(written)
