"""The ramp guard: requests may grow by half a minute, for the provider refuses a sharper growth. Pure.

The rate is a decaying count: each request weighs 1 when it is sent and 1/e a minute later, so under steady traffic
it is the requests per minute. It may reach `free` at any time, a tenth of the limit and never less than a request a
second, and beyond that what a ceiling allows which rises by half a minute, as long as it is used.

The first two minutes of a process are not held back: what it sent before it was restarted is not known, and a
restart in the middle of steady traffic is far more common than growth from nothing. Times are monotonic seconds.
"""

import math
from typing import Final

MINUTE: Final = 60.0
FREE_SHARE: Final = 0.1  # of the limit
FREE: Final = 60.0  # requests per minute
GROWTH: Final = 0.5  # per minute
GRACE: Final = 120.0  # seconds
SLOWER: Final = 0.9  # of the rate, when the provider says that it grew too fast: a pause of six seconds
LEAST_EASE: Final = 0.1
RECOVERY: Final = 0.1 / MINUTE  # of the ease, per second


class Ramp:
    """Not thread-safe: under a lock of the caller's."""

    __slots__ = ("_at", "_ceiling", "_ease", "_free", "_grace_ends", "_rate")

    def __init__(self) -> None:
        self._free = math.inf
        self._rate = 0.0
        self._at = 0.0
        self._ceiling = math.inf
        self._ease = 1.0  # below 1 after a refusal: less is free, and growth is slower
        self._grace_ends: float | None = None

    def learn(self, limit: float) -> None:
        """Takes in the requests per minute that are ours."""
        self._free = max(limit * FREE_SHARE, FREE)

    def rate(self, now: float) -> float:
        """Requests per minute, of late."""
        self._move(now)
        return self._rate

    def wait(self, now: float, ahead: int = 0) -> float:
        """Seconds, at most, until one more request may be sent after `ahead` others; 0 when it may be sent now."""
        if self._rate + ahead + 1 <= self._free * self._ease:  # the rate only falls in between
            return 0.0
        self._move(now)
        too_many = self._rate + ahead + 1 - self._ceiling
        # Near the ceiling the rate falls by one in MINUTE / ceiling seconds; below it in MINUTE / (ceiling - 1).
        return too_many * MINUTE / (self._ceiling - 1) if too_many > 0 else 0.0

    def sent(self, now: float) -> None:
        """Counts a request."""
        if self._grace_ends is None:
            self._grace_ends = now + GRACE
        self._move(now)
        self._rate += 1.0

    def unsent(self, sent_at: float, now: float) -> None:
        """Takes back a request that was counted at `sent_at` and then not sent."""
        self._move(now)
        self._rate = max(0.0, self._rate - math.exp((sent_at - now) / MINUTE))

    def tighten(self, now: float) -> None:
        """The provider said that requests grew too fast."""
        self._move(now)
        self._grace_ends = now
        self._ease = max(LEAST_EASE, self._ease / 2)
        self._ceiling = max(self._free * self._ease, self._rate * SLOWER)

    def _move(self, now: float) -> None:
        elapsed = now - self._at
        if elapsed <= 0:
            return
        self._at = now
        self._rate *= math.exp(-elapsed / MINUTE)
        if self._ease < 1.0:
            self._ease = min(1.0, self._ease + elapsed * RECOVERY)
        if self._grace_ends is None or now < self._grace_ends:
            return
        growth = 1.0 + GROWTH * self._ease
        grown = min(self._ceiling * growth ** min(elapsed / MINUTE, 10.0), self._rate * growth)
        self._ceiling = max(self._free * self._ease, grown)
