"""The URL grammar: an address, read into a query.

Nothing in an address can fail a page: a value that makes no sense is left out, and the page says so.
"""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, TypeVar
from uuid import UUID

from django.http import QueryDict

from dashboard.query import (
    COMPARISONS,
    DAY,
    DEFAULT_FROM,
    ERRORS,
    GROUPS,
    LABELS,
    LONGEST,
    SORTS,
    SPANS,
    STATUSES,
    TODAY,
    WASTE,
    DashboardQuery,
)
from metrics.catalog import METRICS
from metrics.windows import floor
from projects.models import Project

T = TypeVar("T")
# What-if factors.
LEAST: Final = Decimal("0.1")
MOST: Final = Decimal(100)
# A number with fewer fits into the database.
_DIGITS: Final = 10
_RELATIVE: Final = re.compile(r"now(?:-(\d{1,5})([mhd]))?")
# Name in the address → field here.
_TEXTS: Final = {
    name: name for name in ("feature", "user", "session", "model", "prompt_type", "version", "key", "release")
}


def parse(
    data: QueryDict,
    *,
    projects: Collection[Project],
    environments: Callable[[Project], Collection[str]],
    failure_group: Callable[[Project, int], str | None],
    now: datetime,
) -> DashboardQuery:
    """Read an address. Never raises: what is not understood becomes a notice.

    `failure_group` gives the words for the number of a failure group; None when the project has none of that number.
    """
    reader = _Reader(data)
    slug = reader.one_of("project", {project.slug: project for project in projects})
    project = slug if slug is not None else next(iter(projects), None)
    environment = reader.text("env")
    if environment != "" and (project is None or environment not in environments(project)):
        reader.notices.append(f"No call has come from an environment called {_short(environment)}; showing all.")
        environment = ""
    failure, failure_words = reader.failure(project, failure_group)
    start, end, frm, to = reader.range(now)
    cmp, against = reader.comparison(now, before=start)
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
        failure=failure,
        failure_words=failure_words,
        waste=reader.one_of("waste", {word: word for word in WASTE}) or "",
        cmp=cmp,
        against=against,
        group=reader.one_of("g", {word: word for word in GROUPS}) or "",
        metric=reader.one_of("metric", {key: key for key in METRICS}) or "",
        sort=reader.one_of("sort", {key: key for key in SORTS}) or "",
        factor=reader.factor("x"),
        before=reader.identifier("before"),
        **{name: reader.text(key) for key, name in _TEXTS.items()},
        notices=tuple(reader.notices),
    )


class _Reader:
    """Takes values out of an address one by one and collects what it could not understand."""

    def __init__(self, data: QueryDict) -> None:
        self.data = data
        self.notices: list[str] = []

    def text(self, key: str) -> str:
        values = self.data.getlist(key)
        value = values[0].strip() if values else ""
        if len(values) > 1:
            self.notices.append(f"Only one {LABELS.get(key, key)} at a time: showing {_short(value)}.")
        if len(value) > 200 or "\x00" in value or not value.isprintable():
            self.notices.append(f"The {LABELS.get(key, key)} in the address is not a name and was left out.")
            return ""
        return value

    def one_of(self, key: str, known: Mapping[str, T]) -> T | None:
        value = self.text(key)
        if value != "" and value not in known:
            self.notices.append(f"There is no {LABELS.get(key, key)} {_short(value)}; it was left out.")
        return known.get(value)

    def failure(self, project: Project | None, words_of: Callable[[Project, int], str | None]) -> tuple[str, str]:
        """Return the number of a failure group and its words; empty when the project has no such group."""
        value = self.text("failure")
        is_number = value.isascii() and value.isdecimal() and len(value) < _DIGITS
        words = words_of(project, int(value)) if is_number and project is not None else None
        if words is not None:
            return value, words
        if value != "":
            self.notices.append(f"There is no {LABELS['failure']} {_short(value)}; it was left out.")
        return "", ""

    def factor(self, key: str) -> Decimal:
        value = self.text(key)
        if value == "":
            return Decimal(1)
        try:
            factor = Decimal(value)
            if not (factor.is_finite() and LEAST <= factor <= MOST):
                raise ValueError("out of range")
        except (ValueError, ArithmeticError):
            self.notices.append(f"{_short(value)} is not a {LABELS[key]} from {LEAST} to {MOST}; it was left out.")
            return Decimal(1)
        return factor

    def comparison(self, now: datetime, *, before: datetime) -> tuple[str, datetime | None]:
        """Return one of COMPARISONS, or what was written and the time it means: the start of the other window."""
        written = self.text("cmp")
        if not written[:1].isdigit() or written in COMPARISONS:
            return self.one_of("cmp", {word: word for word in COMPARISONS}) or "7d", None
        at = self._time("cmp", written, now)
        if at is not None and at >= before:
            self.notices.append("A comparison must begin before the range does; comparing with last week.")
        return ("7d", None) if at is None or at >= before else (written, at)

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
                return now if number is None else now - int(number) * SPANS[unit]
            if written == TODAY:
                return floor(now, DAY)
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


def _short(value: str) -> str:
    return f"“{value[:40]}…”" if len(value) > 40 else f"“{value}”"
