"""How many attempts there were lately, and how many of them failed: 60 buckets, whatever the traffic."""

import math
from typing import Final

BUCKETS: Final = 60


class Window:
    """Counts over the last `seconds`, exact to one bucket. `now` is in seconds and never goes back."""

    __slots__ = ("_attempts", "_failures", "_newest", "_width", "attempts", "failures")

    def __init__(self, seconds: float) -> None:
        self._width = seconds / BUCKETS
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._attempts = [0] * BUCKETS
        self._failures = [0] * BUCKETS
        self._newest = -math.inf  # number of the bucket of the latest count, since time 0
        self.attempts = 0
        self.failures = 0

    def add(self, now: float, *, failed: bool) -> None:
        """Counts one attempt that is over, and drops what has become too old."""
        number = math.floor(now / self._width)
        for passed in range(int(min(BUCKETS, number - self._newest))):
            self._drop((number - passed) % BUCKETS)
        self._newest = max(self._newest, number)
        slot = number % BUCKETS
        self._attempts[slot] += 1
        self.attempts += 1
        if failed:
            self._failures[slot] += 1
            self.failures += 1

    @property
    def share(self) -> float:
        """The share that failed; 0 without attempts."""
        return self.failures / self.attempts if self.attempts else 0.0

    def _drop(self, slot: int) -> None:
        self.attempts -= self._attempts[slot]
        self.failures -= self._failures[slot]
        self._attempts[slot] = self._failures[slot] = 0
