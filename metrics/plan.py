"""Plans: which table answers for which part of a window.

Whole buckets come from the coarsest table that knows the asked dimensions, what sticks out at both ends from the next
finer one, and the last ragged bit from the calls themselves. The parts never overlap, so sums are exact for any window.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ingest.partitions import kept_from
from ingest.vocabulary import Grain
from metrics.facets import CUBE_DIMENSIONS, facet_of
from metrics.facts import USER_FACTS
from metrics.selection import Question
from metrics.windows import EPOCH, FOREVER, SPANS, Window, ceil, floor

# Calls, or scores, of so much time are read one by one at most, when neither a rollup nor the index on users helps.
MOST_CALLS: Final = timedelta(days=2)

_MINUTE, _HOUR, _DAY = (SPANS[grain] for grain in (Grain.MINUTE, Grain.HOUR, Grain.DAY))


class WindowTooWideError(ValueError):
    """The question could only be answered by reading too many calls one by one. The message says what to change."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table and the buckets of it that may be read."""

    name: str
    grain: Grain | None = None
    """The marks that say which of its buckets are out of date; None: calls or scores themselves, always up to date."""
    span: timedelta | None = None
    """The length of its buckets; None: months, or single calls and scores."""
    start: datetime = EPOCH
    end: datetime = FOREVER

    @property
    def is_facets(self) -> bool:
        """Return whether its rows are cut by one property, whose key they have."""
        return self.name.startswith("facet_") or self.name == "score_hour"

    def whole(self, window: Window) -> Window | None:
        """Return the whole buckets inside a window that this table answers for."""
        start, end = max(window.start, self.start), min(window.end, self.end)
        if self.span is not None:
            start, end = ceil(start, self.span), floor(end, self.span)
        elif self.grain is not None:
            start, end = _month_at(start - timedelta(microseconds=1), after=True), _month_at(end, after=False)
        return Window(start, end) if start < end else None


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the window and the table it is read from."""

    table: Table
    window: Window


CALLS: Final = Table("request_log")
SCORES: Final = Table("score")
ONE_BY_ONE: Final = (CALLS, SCORES)


def hour_horizon(now: datetime) -> datetime:
    """Return the time from which hours are not read: the last ones are fresher in the minutes and in the calls."""
    return floor(now, _HOUR) - _HOUR


def day_horizon(now: datetime) -> datetime:
    """Return the time from which days are not read: the last hours of one that has just ended are still to come."""
    return floor(hour_horizon(now), _DAY)


def open_day(now: datetime) -> datetime:
    """Return the start of the day that is not over; its rows are not read."""
    return floor(now, _DAY)


def open_month(now: datetime) -> datetime:
    """Return the start of the month that is not over; its rows are not read."""
    return _month_at(open_day(now), after=False)


def plan(question: Question) -> list[Piece]:
    """Return the parts of the window in order of time. Raises WindowTooWideError."""
    pieces = list(cut(question.window, _ladder(question)))
    # What has not happened yet holds nothing to read: a period may be asked about that ends in weeks.
    begun = (piece.window.until(question.now) for piece in pieces if piece.table in ONE_BY_ONE)
    one_by_one = sum((window.duration for window in begun), timedelta())
    if one_by_one > MOST_CALLS and ("user_id" not in question.filters or question.is_of_scores):
        what = "scores" if question.is_of_scores else "calls"
        raise WindowTooWideError(
            f"this question reads {what} one by one, and can do so for at most {MOST_CALLS.days} days:"
            " ask for a shorter window, buckets of whole hours, or fewer filters"
        )
    return pieces


def cut(window: Window, ladder: Sequence[Table]) -> Iterator[Piece]:
    """Yield the parts of a window in order of time, each from the coarsest table that can; the last can everything."""
    if window.is_empty:
        return
    table, finer = ladder[0], ladder[1:]
    whole = table.whole(window)
    if whole is None:
        yield from cut(window, finer)
        return
    yield from cut(Window(window.start, whole.start), finer)
    yield Piece(table, whole)
    yield from cut(Window(whole.end, window.end), finer)


def _ladder(question: Question) -> list[Table]:
    """Return the tables that can answer, coarsest first. The calls, or the scores, can answer everything."""
    step = question.step
    return [
        *(
            table
            for table in _rollups(question)
            if step is None or (table.span is not None and step % table.span == timedelta())
        ),
        SCORES if question.is_of_scores else CALLS,
    ]


def _rollups(question: Question) -> list[Table]:
    now = question.now
    # Every row of a score has its name.
    cut_by = question.dimensions - {"environment", "score"}
    if "user_id" in cut_by:
        if cut_by != {"user_id"} or question.histograms or not question.facts <= {fact.name for fact in USER_FACTS}:
            return []
        return [
            Table("user_month", Grain.DAY, end=min(open_month(now), question.months_until)),
            Table("user_day", Grain.DAY, _DAY, end=open_day(now)),
        ]
    # In the facets environment 0 is all of them together, so those cannot tell who named none.
    in_cubes = cut_by <= CUBE_DIMENSIONS.keys()
    in_facets = len(cut_by) <= 1 and facet_of("".join(cut_by)) and question.filters.get("environment") != 0
    if question.is_of_scores:
        return _of_scores(now, in_facets=bool(in_facets), in_cubes=in_cubes)
    if in_facets:
        return [
            Table("facet_day", Grain.DAY, _DAY, end=day_horizon(now)),
            Table("facet_hour", Grain.HOUR, _HOUR, start=kept_from("facet_hour", now), end=hour_horizon(now)),
            Table("facet_minute", Grain.MINUTE, _MINUTE, start=kept_from("facet_minute", now)),
        ]
    if not in_cubes:
        return []
    return [
        Table("cube_day", Grain.DAY, _DAY, end=day_horizon(now)),
        Table("cube_hour", Grain.HOUR, _HOUR, end=hour_horizon(now)),
    ]


def _of_scores(now: datetime, *, in_facets: bool, in_cubes: bool) -> list[Table]:
    """Return the rollups of scores; there are no minutes of them."""
    hours_from = kept_from("score_hour", now) if in_facets else FOREVER
    days_until = min(hours_from, day_horizon(now))
    days = [Table("score_cube_day", Grain.SCORE_DAY, _DAY, end=days_until)] if in_cubes else []
    if in_facets:
        return [*days, Table("score_hour", Grain.SCORE_HOUR, _HOUR, start=hours_from, end=hour_horizon(now))]
    return [*days, Table("score_cube_hour", Grain.SCORE_HOUR, _HOUR, end=hour_horizon(now))] if in_cubes else []


def is_rolled_up(question: Question) -> bool:
    """Return whether a rollup knows what the question is cut by."""
    return bool(_rollups(question))


def _month_at(at: datetime, *, after: bool) -> datetime:
    """Return the start of the month that `at` lies in, or of the one after it."""
    start = floor(at, _DAY).replace(day=1)
    return (start + timedelta(days=31)).replace(day=1) if after else start
