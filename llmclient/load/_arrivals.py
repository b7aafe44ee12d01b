"""When requests come, in seconds from the start. Pure: fixed before the first one is sent."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from llmclient._durations import seconds_of
from llmclient.testing.trace import Arrival

PER_MINUTE: Final = 60.0
NOTHING: Final = 1e-9  # of a request: less cannot be divided by


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests per minute: from `first` to `last` within `over` seconds, evenly, and `last` from then on."""

    first: float
    last: float
    over: float = 0.0

    def __post_init__(self) -> None:
        if self.first < 0 or self.last <= 0 or self.over < 0:
            raise ValueError(f"a rate of {self.first:g} to {self.last:g} a minute in {self.over:g} s cannot be")

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """`10:1000:300s`. Raises ValueError."""
        parts = text.split(":")
        if len(parts) != 3:
            raise ValueError(f"{text!r} is not FROM:TO:WITHIN, for example 10:1000:300s")
        within = float(parts[2]) if parts[2].replace(".", "", 1).isdigit() else parts[2]
        return cls(float(parts[0]), float(parts[1]), seconds_of(within, "WITHIN"))

    def when(self, number: float) -> float:
        """Seconds after which `number` requests are to have come; the inverse of the rate summed up."""
        first, last = self.first / PER_MINUTE, self.last / PER_MINUTE
        ramped = (self.first + self.last) / 2 * self.over / PER_MINUTE
        if number >= ramped:
            return self.over + (number - ramped) * PER_MINUTE / self.last  # in this order the thousandth is exact
        if number < NOTHING:
            return 0.0
        # The root of first·t + (last - first)·t²/(2·over) = number, written so that it also holds for an even rate.
        return 2 * number / (first + math.sqrt(first**2 + 2 * (last - first) / self.over * number))


def constant(rate: Rate, seconds: float) -> list[float]:
    """Evenly spaced, the first at once."""
    return _until(seconds, (rate.when(number) for number in count()))


def poisson(rate: Rate, seconds: float, seed: int) -> list[float]:
    """As requests of people who do not know of each other come: the gaps are exponentially distributed."""
    return _until(seconds, (rate.when(number) for number in _unit_arrivals(seed)))


def traced(rows: Sequence[Arrival], speed: float, seconds: float | None) -> list[tuple[float, Arrival]]:
    """The rows of a trace in their own rhythm, `speed` times as fast; those of the first `seconds` of the run."""
    ordered = sorted(rows, key=lambda row: row.at)
    timed = [((row.at - ordered[0].at).total_seconds() / speed, row) for row in ordered]
    return [(at, row) for at, row in timed if seconds is None or at < seconds]


def _unit_arrivals(seed: int) -> Iterator[float]:
    dice, passed = random.Random(seed), 0.0  # noqa: S311  a model, not a secret
    while True:
        passed += dice.expovariate(1.0)
        yield passed


def _until(seconds: float, times: Iterator[float]) -> list[float]:
    found: list[float] = []
    for at in times:
        if at >= seconds:
            return found
        found.append(at)
    return found
