"""One bucket of a rate limit, of requests or of tokens, whose size is learned from the provider's answers. Pure.

Until an answer names the limit everything is let through. From then on the bucket holds `target` x `share` of the
limit, refills continuously, and is never believed to be fuller than the provider says. Not thread-safe: it belongs
under a lock of the caller's. Times are monotonic seconds.
"""

import math
from typing import Final

from llmclient._quota import Quota

MINUTE: Final = 60.0  # limits are written per minute
CUT: Final = 0.7  # of the rate, at each push-back
SLOWEST: Final = 0.1
RECOVERY: Final = 0.05 / 10.0  # of the full rate, per second
ENOUGH: Final = 0.001  # of a request or token: what adding up may get wrong
ROUNDING: Final = 2.0  # seconds: the date and the instant of full replenishment are both written in whole ones
LEAST_REFILL, MOST_REFILL = 0.5, 60.0  # of a limit's sixtieth: beyond, a header is wrong


class Bucket:
    """`settling`: seconds after which what was sent is mostly contained in the provider's own count."""

    __slots__ = (
        "_at",
        "_factor",
        "_level",
        "_rate",
        "_recent",
        "_recent_at",
        "_refill",
        "_settling",
        "_share",
        "_target",
        "blocked_until",
        "capacity",
        "limit",
        "reserved",
    )

    def __init__(self, *, target: float, share: float, settling: float) -> None:
        self._target = target
        self._share = share
        self._settling = settling
        self.limit: int | None = None
        self.capacity = math.inf
        self.reserved = 0.0
        """Taken by calls that have not said yet what they used."""
        self.blocked_until = -math.inf
        self._level = math.inf
        self._at = 0.0
        self._refill = 0.0  # per second, of the whole limit
        self._rate = 0.0  # per second, of what is ours
        self._factor = 1.0
        self._recent = 0.0  # reserved not long ago: decays within `settling`
        self._recent_at = 0.0

    def level(self, now: float) -> float:
        """What may be taken at once; infinite until the limit is known, below 0 after using more than was reserved."""
        self._fill(now)
        return self._level

    def wait(self, amount: float, now: float, ahead: float = 0.0) -> float:
        """Seconds until `amount` is there for who takes it after others took `ahead`; 0 when it is there now.

        More than a whole bucket never is, so a full bucket counts as enough for it. Later reservations, refunds and
        answers of the provider aside, the wait is not longer than that.
        """
        wait = self.blocked_until - now
        if self.limit is not None:
            self._fill(now)
            missing = ahead + min(amount, self.capacity) - self._level
            if missing > ENOUGH:
                wait = max(wait, missing / self._rate)
        return max(0.0, wait)

    def has(self, amount: float, now: float) -> bool:
        """Whether `amount` is there now."""
        if now < self.blocked_until:
            return False
        if self.limit is None:
            return True
        self._fill(now)
        return min(amount, self.capacity) - self._level <= ENOUGH

    def reserve(self, amount: float, now: float) -> None:
        """Takes `amount`, whether it is there or not: `wait` and `has` tell."""
        if self.limit is not None:
            self._fill(now)
            self._level -= amount
        self.reserved += amount
        self._recent = self._recent_now(now) + amount
        self._recent_at = now

    def settle(self, reserved: float, used: float, now: float) -> None:
        """Ends a reservation: what it held too much comes back, what it held too little is taken."""
        self.reserved -= reserved
        if self.limit is not None:
            self._fill(now)
            self._level = min(self.capacity, self._level + reserved - used)

    def learn(self, quota: Quota, now: float, *, age: float | None = None) -> None:
        """Takes in what the newest answer says; older ones must not get here.

        `age`: seconds since its request was sent, the most by which its numbers can be late. None: nobody knows.
        """
        self._fill(now)
        first = self.limit is None
        if quota.limit != self.limit:
            self.limit = quota.limit
            self._refill = quota.limit / MINUTE
        least, most = refill_range(quota, age)
        self._refill = max(least, min(self._refill, most))
        self._tune()
        if first:
            self._at = now
            self._level = self.capacity - self.reserved
        if quota.remaining is not None:
            pending = self.reserved if first else self._pending(now)
            self._level = min(self._level, least_left(quota) * self._share - pending)

    def cut(self, wait: float, now: float) -> bool:
        """The provider refused: nothing is let through for `wait` seconds, and less per second for a while after it.

        False when the bucket was blocked already: calls refused together are one push-back, not many.
        """
        fresh = now >= self.blocked_until
        self.blocked_until = max(self.blocked_until, now + wait)
        self._fill(now)
        if self.limit is not None:
            self._level = min(self._level, -self._pending(now))
        if fresh:
            self._factor = max(SLOWEST, self._factor * CUT)
            self._tune()
        return fresh

    def block(self, wait: float, now: float) -> None:
        """Nothing is let through for `wait` seconds; nothing else changes."""
        self.blocked_until = max(self.blocked_until, now + wait)

    def take_share(self, share: float, now: float) -> None:
        """From now on `share` of the limit is this process's."""
        self._fill(now)
        self._share = share
        self._tune()

    def _fill(self, now: float) -> None:
        elapsed = now - self._at
        if elapsed <= 0 or self.limit is None:
            return
        self._level = min(self.capacity, self._level + elapsed * self._rate)
        self._at = now
        if self._factor < 1.0:
            self._factor = min(1.0, self._factor + elapsed * RECOVERY)
            self._tune()

    def _tune(self) -> None:
        if self.limit is None:
            return
        ours = self._target * self._share
        self.capacity = self.limit * ours
        self._rate = self._refill * ours * self._factor
        self._level = min(self._level, self.capacity)

    def _recent_now(self, now: float) -> float:
        elapsed = now - self._recent_at
        return self._recent * math.exp(-elapsed / self._settling) if elapsed > 0 else self._recent

    def _pending(self, now: float) -> float:
        """What was reserved and may be missing in the provider's count: a call on its way, an answer being written."""
        return min(self.reserved, self._recent_now(now))


def refill_range(quota: Quota, age: float | None) -> tuple[float, float]:
    """Least and most that can come back per second, given how roughly the headers are written.

    A limit's sixtieth is in it unless they contradict that. `age`: seconds by which they can be late; None: unknown.
    """
    sixtieth = quota.limit / MINUTE
    least, most = sixtieth * LEAST_REFILL, sixtieth * MOST_REFILL
    if quota.remaining is None or quota.full_in is None:
        return least, most
    missing, rough = quota.limit - quota.remaining, quota.grain / 2
    if quota.remaining > rough and quota.full_in > ROUNDING:  # an overdrawn bucket says 0, and is full later
        most = max(least, min(most, (missing + rough) / (quota.full_in - ROUNDING)))
    at_least = (missing - rough) / (quota.full_in + ROUNDING / 2 + (age or 0.0))
    if age is None:
        at_least = min(at_least, sixtieth)
    return max(least, min(at_least, most)), most


def least_left(quota: Quota) -> float:
    """The least that can be left when `remaining` is what it was rounded to."""
    assert quota.remaining is not None
    if quota.remaining == quota.limit or quota.grain == 1:
        return float(quota.remaining)
    return max(0.0, quota.remaining - quota.grain / 2)
