"""Made-up arrivals: how a young product's calls come over days and weeks, with a size for each."""

import math
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import count
from typing import Final

from llmclient.testing.trace import Arrival

BIN: Final = timedelta(minutes=10)
DAY: Final = timedelta(days=1)
# Medians and spreads as in the published conversation trace, to two digits; cut where models answer no further.
INPUT: Final = (760, 0.95, 24, 14_000)
OUTPUT: Final = (125, 1.0, 2, 1_500)


def arrivals(
    start: datetime, end: datetime, *, per_day: Callable[[datetime], float], seed: int = 0
) -> Iterator[Arrival]:
    """Poisson arrivals in [start, end), in order of time; aware UTC.

    `per_day` gives the intensity at an instant, in calls per day; it is asked once for every ten minutes.
    """
    dice = random.Random(seed)  # noqa: S311  a model, not a secret
    row = 0
    at = start
    while at < end:
        until = min(at + BIN, end)
        expected = per_day(at) * ((until - at) / DAY)
        for offset in sorted(dice.random() for _ in range(_poisson(expected, dice))):
            yield Arrival(row, at + (until - at) * offset, _size(INPUT, dice), _size(OUTPUT, dice))
            row += 1
        at = until


def steady(start: datetime, *, per_second: float, seed: int = 0) -> Iterator[Arrival]:
    """Poisson arrivals at one rate, without end; aware UTC."""
    dice = random.Random(seed)  # noqa: S311  a model, not a secret
    at = start
    for row in count():
        at += timedelta(seconds=dice.expovariate(per_second))
        yield Arrival(row, at, _size(INPUT, dice), _size(OUTPUT, dice))


def rhythm(at: datetime) -> float:
    """How busy a product is at this time of its users' day; 1 on the average of a working day.

    Nights are quiet, noon dips, weekends have half of the traffic.
    """
    hour = at.hour + at.minute / 60
    day = math.exp(-(((hour - 10.0) / 2.6) ** 2)) + math.exp(-(((hour - 15.2) / 2.9) ** 2))
    # 0.4062 is the mean of the two bells over the day; a tenth of the traffic never sleeps.
    return (0.1 + 0.9 * day / 0.4062) * (1.0 if at.weekday() < 5 else 0.5)


def _poisson(expected: float, dice: random.Random) -> int:
    """Knuth's method: the number of unit-rate arrivals before `expected` has passed."""
    arrived, passed = 0, dice.expovariate(1.0)
    while passed < expected:
        arrived += 1
        passed += dice.expovariate(1.0)
    return arrived


def _size(shape: tuple[int, float, int, int], dice: random.Random) -> int:
    median, sigma, smallest, largest = shape
    return min(largest, max(smallest, round(median * dice.lognormvariate(0, sigma))))
