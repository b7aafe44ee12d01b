"""Windows: a stretch of time, half-open, in UTC, and the grid its buckets lie on."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from ingest.vocabulary import Grain

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FOREVER: Final = datetime.max.replace(tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
SPANS: Final = {
    Grain.MINUTE: timedelta(minutes=1),
    **dict.fromkeys((Grain.HOUR, Grain.SCORE_HOUR), timedelta(hours=1)),
    **dict.fromkeys((Grain.DAY, Grain.SCORE_DAY), timedelta(days=1)),
}


def floor(at: datetime, step: timedelta) -> datetime:
    """Return the start of the bucket of this length that `at` lies in; buckets are counted from 1970 in UTC."""
    return at - (at - EPOCH) % step


def ceil(at: datetime, step: timedelta) -> datetime:
    """Return the first bucket start that is not before `at`."""
    return at + (EPOCH - at) % step


def seconds_of(start: datetime) -> int:
    """Return the seconds since 1970; numbers are looked up several times faster than aware times."""
    return (start - EPOCH) // _SECOND


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """The times t with start <= t < end. Both are aware; the end is not before the start."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("start and end of a window need a time zone")
        if self.end < self.start:
            raise ValueError(f"the window ends ({self.end}) before it starts ({self.start})")

    @classmethod
    def last(cls, span: timedelta | int, now: datetime) -> Self:
        """Return the window of this length (a number means minutes) that ends now."""
        return cls(now - (span if isinstance(span, timedelta) else timedelta(minutes=span)), now)

    @property
    def duration(self) -> timedelta:
        return self.end - self.start

    @property
    def seconds(self) -> float:
        return self.duration.total_seconds()

    @property
    def is_empty(self) -> bool:
        return self.start == self.end

    def contains(self, at: datetime) -> bool:
        return self.start <= at < self.end

    def shift(self, delta: timedelta) -> Self:
        """Return the window of the same length, moved; a negative delta moves it into the past."""
        return type(self)(self.start + delta, self.end + delta)

    def previous(self) -> Self:
        """Return the window of the same length that ends where this one starts."""
        return self.shift(-self.duration)

    def until(self, at: datetime) -> Self:
        """Return the part before `at`; empty when the window starts later."""
        return type(self)(min(self.start, at), min(self.end, at)) if at < self.end else self

    def buckets(self, step: timedelta | Grain) -> list[datetime]:
        """Return the starts of all buckets that share time with the window; the first and last may be cut by it."""
        return list(self._starts(SPANS[step] if isinstance(step, Grain) else step))

    def _starts(self, step: timedelta) -> Iterator[datetime]:
        at = self.end if self.is_empty else floor(self.start, step)
        while at < self.end:
            yield at
            at += step


# SQL for a time as text that `at_microseconds` reads.
MICROSECONDS: Final = "(extract(epoch FROM {}) * 1000000)::bigint::text"


def at_microseconds(written: str | None) -> datetime | None:
    """Return the time so many microseconds after 1970, exactly; None for none."""
    return None if written is None else EPOCH + timedelta(microseconds=int(written))
