"""When a limit is full, if its use goes on rising as it did.

The slope is the median of the slopes between all pairs of points (Theil–Sen), which a third of wild points do not move.
It is told only where the points rise far more often than chance would have them (Mann–Kendall, three standard errors);
otherwise there is no answer, because a wrong time is worse than none.

Estimates, and so plain floats: they are read as "about 14:25" and no sum is made of them.
"""

from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Final

Point = tuple[float, float]
"""A time in minutes, on any scale, and the share of the limit used then; 1 is all of it."""

FEWEST: Final = 10
"""Points; with fewer there is no trend to speak of."""
LONGEST: Final = 6 * 60
"""Minutes: nothing rises as it did in half an hour for longer than this."""
_ERRORS: Final = 3


def minutes_left(points: Sequence[Point], *, at: float) -> float | None:
    """Return after how many minutes from `at` the use reaches the limit; 0 when the trend is there already.

    None: too few points, no rise beyond chance, or none that gets there within `LONGEST`.
    """
    if len(points) < FEWEST or not _rises(points):
        return None
    rise = slope(points)
    level = median(share - rise * minute for minute, share in points)
    left = (1 - level) / rise - at
    return None if left > LONGEST else max(left, 0.0)


def slope(points: Sequence[Point]) -> float:
    """Return the median slope per minute; at least two points must lie at different times."""
    return median((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if a[0] != b[0])


def _rises(points: Sequence[Point]) -> bool:
    """Whether later points are higher more often than `_ERRORS` standard errors of points in random order, and rise."""
    score = 0
    for (a, low), (b, high) in combinations(points, 2):
        if low != high and a != b:
            score += 1 if (high > low) == (b > a) else -1
    number = len(points)
    variance = number * (number - 1) * (2 * number + 5) / 18
    return score > 0 and score * score >= _ERRORS * _ERRORS * variance and slope(points) > 0
