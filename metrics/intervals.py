"""Intervals: how far a share that was counted may lie from the true one, and how many more would tell it better.

Wilson's interval at 95 %: it stays within 0 and 1 and is honest about few counts, where the textbook one is not.
"""

from decimal import Context, Decimal
from typing import Final, NamedTuple

# The quantile of the normal distribution that 95 % lie within.
Z: Final = Decimal("1.959963984540054")
_EXACT: Final = Context(prec=28)
_MOST: Final = 10_000_000


class Interval(NamedTuple):
    """Shares from 0 to 1; 95 of 100 such intervals hold the true one."""

    low: Decimal
    high: Decimal

    @property
    def margin(self) -> Decimal:
        """Return half its width."""
        return (self.high - self.low) / 2

    def is_apart_from(self, other: "Interval") -> bool:
        """Return whether the two share no value: then the difference is hardly chance."""
        return self.high < other.low or other.high < self.low


def wilson(successes: int, trials: int) -> Interval | None:
    """Return the interval of `successes` in `trials`; None when nothing was tried.

    Raises ValueError for more successes than trials.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is no share")
    if trials == 0:
        return None
    share = _EXACT.divide(Decimal(successes), Decimal(trials))
    middle, margin = _wilson(share, trials)
    return Interval(
        Decimal(0) if successes == 0 else middle - margin, Decimal(1) if successes == trials else middle + margin
    )


def more_for(margin: Decimal, successes: int, trials: int) -> int:
    """Return how many more trials narrow the interval to ± `margin`, should the share stay what it is; 0: enough.

    With no trial yet the share is taken as one half, which needs most.
    """
    share = Decimal("0.5") if trials == 0 else _EXACT.divide(Decimal(successes), Decimal(trials))
    low, high = max(trials, 1), _MOST
    if trials > 0 and _wilson(share, trials)[1] <= margin:
        return 0
    while low < high:
        half = (low + high) // 2
        if _wilson(share, half)[1] <= margin:
            high = half
        else:
            low = half + 1
    return low - trials


def _wilson(share: Decimal, trials: int) -> tuple[Decimal, Decimal]:
    """Return the middle of the interval and half its width."""
    squared = _EXACT.multiply(Z, Z)
    spread = share * (1 - share) / trials + squared / (4 * trials * trials)
    scale = 1 + squared / trials
    return (share + squared / (2 * trials)) / scale, Z * _EXACT.sqrt(spread) / scale
