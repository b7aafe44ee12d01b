"""How many attempts there were lately, and how many of them failed: at most 60 buckets, whatever the traffic."""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

BUCKETS: Final = 60


@dataclass(slots=True)
class Bucket:
    """What was counted in one sixtieth of the window: the one with this number, counted from time 0."""

    number: int
    attempts: int = 0
    failures: int = 0


class Window:
    """Counts over the last `seconds`, exact to one bucket. `now` is in seconds and never goes back."""

    def __init__(self, seconds: float) -> None:
        self._width = seconds / BUCKETS
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._buckets: deque[Bucket] = deque()  # only those with something in them, oldest first
        self.attempts = 0
        self.failures = 0

    def add(self, now: float, *, failed: bool) -> None:
        """Counts one attempt that is over, and drops what has become too old."""
        number = math.floor(now / self._width)
        buckets = self._buckets
        if not buckets or buckets[-1].number != number:
            buckets.append(Bucket(number))
            while buckets[0].number <= number - BUCKETS:
                old = buckets.popleft()
                self.attempts -= old.attempts
                self.failures -= old.failures
        bucket = buckets[-1]
        bucket.attempts += 1
        self.attempts += 1
        if failed:
            bucket.failures += 1
            self.failures += 1

    @property
    def share(self) -> float:
        """The share that failed; 0 without attempts."""
        return self.failures / self.attempts if self.attempts else 0.0
