"""What was spent in a sliding window, in buckets of a sixtieth of it; nothing is forgotten early.

Time is counted in buckets, by whoever owns the purse. A purse takes 350 bytes, or 1.4 KB when it is used all the time.
"""

from array import array
from typing import Final

BUCKETS: Final = 60
# The bucket under way counts in full, so a window is covered by one more than it has.
KEPT: Final = BUCKETS + 1


class Purse:
    __slots__ = ("_buckets", "_told", "held", "spent")

    def __init__(self) -> None:
        self.spent = 0
        self.held = 0
        """Put aside for calls under way."""
        self._buckets = array("q")  # number of a bucket, what was spent in it, and so on, oldest first
        self._told: dict[int, int] | None = None

    def slide(self, now: int) -> None:
        """Forgets what has left the window; `now` and below is the number of the bucket under way."""
        buckets = self._buckets
        while buckets and buckets[0] <= now - KEPT:
            self.spent -= buckets[1]
            del buckets[:2]

    def add(self, amount: int, now: int) -> None:
        """Counts spend. What is 0 leaves no trace."""
        buckets = self._buckets
        if amount:
            self.spent += amount
            if buckets and buckets[-2] == now:
                buckets[-1] += amount
            else:
                buckets.extend((now, amount))

    def room_at(self, amount: int, limit: int, now: int) -> int:
        """The bucket from which the amount fits, when calls under way turn out as dear as they might."""
        excess = self.spent + self.held + amount - limit
        for number, spent in zip(self._buckets[::2], self._buckets[1::2], strict=True):
            excess -= spent
            if excess <= 0:
                return number + KEPT
        return now + KEPT

    def tell(self, limit: int, now: int) -> bool:
        """True once per window and limit."""
        if self._told is None:
            self._told = {}
        if now - self._told.get(limit, now - KEPT) < KEPT:
            return False
        self._told[limit] = now
        return True

    @property
    def idle(self) -> bool:
        """There is nothing to remember."""
        return not self._buckets and self.held == 0

    def inherit(self) -> None:
        """In a forked child: what is held is the parent's, and a thread may have been stopped within a sum."""
        self.held = 0
        self.spent = sum(self._buckets[1::2])
