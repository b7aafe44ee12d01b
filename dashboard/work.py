"""The periodic work, as the pages see it. The wiring above knows the jobs and says here how to read them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

LEAST_DELAY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of periodic work and how its last run went."""

    name: str
    every: timedelta
    due_at: datetime | None
    """None: no worker knows it yet."""
    is_running: bool
    finished_at: datetime | None
    took: timedelta | None
    failures: int
    """Failed runs in a row."""
    last_error: str

    def is_late(self, now: datetime) -> bool:
        """Return whether it should have begun two periods ago, and nobody runs it."""
        late = max(2 * self.every, LEAST_DELAY)
        return not self.is_running and self.due_at is not None and now - self.due_at > late


Reader = Callable[[datetime], Sequence[Work]]
_readers: Final[list[Reader]] = []


def read_by(reader: Reader) -> None:
    """Have the periodic work read by this function, in place of any before."""
    _readers[:] = [reader]


def work(now: datetime) -> Sequence[Work]:
    """Return all periodic work, most frequent first; empty when nobody said how to read it. Raises DatabaseError."""
    return [one for reader in _readers for one in reader(now)]
