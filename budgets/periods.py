"""Calendar days and months of a named zone, as half-open UTC intervals without gap or overlap.

A period begins at the first instant of its first local date. Where a clock change swallows midnight that is the moment
of the change; where a change repeats midnight it is the first of the two. Boundaries decide which period an instant
belongs to, never the local date: a clock that is set back over midnight shows yesterday's date twice.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

DAY: Final = "day"
MONTH: Final = "month"


@dataclass(frozen=True)
class Period:
    """[start, end) in UTC."""

    start: datetime
    end: datetime

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at < self.end


def period_at(budget_period: str, zone: str, at: datetime) -> Period:
    """The period an instant belongs to. `budget_period` is "day" or "month"; `zone` an IANA name."""
    tz = ZoneInfo(zone)
    # From the day before on: what a clock that was set back shows may be off by a date.
    first = _first_date(budget_period, at.astimezone(tz).date() - timedelta(days=1))
    start, end = _begin(first, tz), _begin(_next(budget_period, first), tz)
    while at >= end:
        first = _next(budget_period, first)
        start, end = end, _begin(_next(budget_period, first), tz)
    return Period(start, end)


def label(budget_period: str, zone: str, period: Period) -> str:
    """A period in words: November 2026, or 22 November 2026."""
    day = _local_date(period.start, ZoneInfo(zone))
    return f"{day:%B %Y}" if budget_period == MONTH else f"{day.day} {day:%B %Y}"


def _first_date(budget_period: str, day: date) -> date:
    if budget_period == MONTH:
        return day.replace(day=1)
    if budget_period == DAY:
        return day
    raise ValueError(f"{budget_period!r} is not a budget period; use {DAY!r} or {MONTH!r}.")


def _next(budget_period: str, first: date) -> date:
    if budget_period == MONTH:
        return (first + timedelta(days=31)).replace(day=1)
    return first + timedelta(days=1)


def _begin(day: date, tz: ZoneInfo) -> datetime:
    """The first instant of a local date, in UTC."""
    midnight = datetime.combine(day, time.min, tz)
    begin = midnight.astimezone(UTC)
    if begin.astimezone(tz).replace(tzinfo=None) == datetime.combine(day, time.min):
        return begin
    # Midnight was skipped. The two readings of it (by the offset after and before the change) enclose the change.
    early, late = midnight.replace(fold=1).astimezone(UTC), begin
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
        early, late = (early, middle) if _local_date(middle, tz) >= day else (middle, late)
    return late


def _local_date(at: datetime, tz: ZoneInfo) -> date:
    return at.astimezone(tz).date()
