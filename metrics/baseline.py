"""Baselines: is a value usual for its hours of the week, and do two rates differ? Statistics only, no reading.

A value is held against the same hours of the weeks before: z = (value - median) / max(1.4826 MAD, floor). A rate is
held against another one by the interval of their difference. Both speak in the same few words.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import combinations
from typing import Final

Number = int | Fraction | Decimal

WEEKS: Final = 8
"""The weeks a value is held against at most."""
FEWEST_WEEKS: Final = 2
DAYS_TO_LEARN: Final = 7 * FEWEST_WEEKS
UNUSUAL: Final = 2.0
VERY_UNUSUAL: Final = 3.5
FEWEST_CALLS: Final = 30
FEWEST_EVENTS: Final = 5

# Makes the median of absolute deviations an estimate of the standard deviation of a normal distribution.
_NORMAL: Final = 1.4826
# Of few values it is too small in the mean, by these factors (Croux and Rousseeuw 1992).
_OF_FEW: Final = {2: 1.196, 3: 1.495, 4: 1.363, 5: 1.206, 6: 1.200, 7: 1.140, 8: 1.129, 9: 1.107}
LEAST: Final = 0.02
"""Scatter of less than this share of a value is nothing anybody needs to look at."""
# With fewer pairs of weeks than this their distance says nothing of the noise.
_FEWEST_PAIRS: Final = 6


class Word(StrEnum):
    """What is said of a value."""

    NORMAL = "normal"
    UNUSUAL = "unusual"
    VERY_UNUSUAL = "very unusual"
    LEARNING = "learning"
    NOT_ENOUGH = "not enough data"

    @property
    def is_alarm(self) -> bool:
        return self in (Word.UNUSUAL, Word.VERY_UNUSUAL)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A word, and what it follows from."""

    word: Word
    z: float | None = None
    """How many usual deviations the value lies from the median; None without a verdict."""
    usual: Fraction | None = None
    """The median of the weeks before, in the value's unit."""
    spread: float = 0.0
    """The deviation that is usual, in the value's unit."""
    weeks: int = 0
    """The weeks it was held against."""


def judge(value: Number, weeks: Sequence[Number | None], floor: float = 0.0) -> Judgement:
    """Hold a value against the same hours of the weeks before; None is a week without a call and left out.

    `floor` is the least deviation taken for usual, in the value's unit: see `floor_of`.
    """
    known = [Fraction(week) for week in weeks if week is not None]
    if len(known) < FEWEST_WEEKS:
        return Judgement(Word.LEARNING, weeks=len(known))
    usual = median(known)
    spread = max(deviation(known, usual), floor)
    away = float(Fraction(value) - usual)
    z = away / spread if spread > 0 else math.copysign(math.inf, away) if away != 0 else 0.0
    return Judgement(word_of(z), z, usual, spread, len(known))


def word_of(z: float) -> Word:
    """Return the word for a distance in usual deviations."""
    if abs(z) > VERY_UNUSUAL:
        return Word.VERY_UNUSUAL
    return Word.UNUSUAL if abs(z) >= UNUSUAL else Word.NORMAL


def median(values: Iterable[Fraction]) -> Fraction:
    """Return the middle value, or the mean of the two middle ones. Exact; there must be one value at least."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def deviation(values: Sequence[Fraction], around: Fraction) -> float:
    """Return 1.4826 times the median absolute deviation, made larger where few values make it too small."""
    return _NORMAL * _OF_FEW.get(len(values), 1.0) * float(median(abs(value - around) for value in values))


def floor_of(usual: Number, calls: Number, *, per_call: float, noise: float = 0.0, least: float = LEAST) -> float:
    """Return the least deviation that is usual for a sum over so many calls.

    Calls that come independently of each other make a sum scatter by sqrt(per_call / calls) of itself: `per_call` is 1
    for a count, and 1 + the squared relative scatter of a single call otherwise. `noise` is the relative scatter found
    in the other hours; see `noise_of`. Never below the share `least` of the value.
    """
    by_chance = math.sqrt(per_call / max(float(calls), 1.0))
    return float(usual) * max(least, noise, by_chance)


def noise_of(groups: Iterable[Sequence[Number]]) -> float:
    """Return the relative scatter of values around the median of their group: the weeks of one stretch of the week.

    A few weeks alone say little about their scatter; those of all days together say a lot. It follows from how far any
    two weeks of a group lie apart, which needs no median and so is right for two weeks as for eight. 0 when there are
    too few.
    """
    apart = sorted(one for group in groups for one in _apart(sorted(map(float, group))))
    return _NORMAL * _middle(apart) / math.sqrt(2) if len(apart) >= _FEWEST_PAIRS else 0.0


def _apart(ascending: Sequence[float]) -> Iterable[float]:
    if len(ascending) < FEWEST_WEEKS or (usual := _middle(ascending)) <= 0:
        return ()
    return ((larger - smaller) / usual for smaller, larger in combinations(ascending, 2))


def _middle(ascending: Sequence[float]) -> float:
    half = len(ascending) // 2
    return ascending[half] if len(ascending) % 2 else (ascending[half - 1] + ascending[half]) / 2


@dataclass(frozen=True, slots=True)
class RateJudgement:
    """A word about two rates, and the interval their difference lies in with 95 % certainty."""

    word: Word
    low: float | None = None
    high: float | None = None


def judge_rates(events: int, calls: int, other_events: int, other_calls: int) -> RateJudgement:
    """Hold one rate against another: unusual when the interval of the difference, as wide as the word says, lacks 0.

    Not enough data with fewer than 30 calls on a side, or when fewer than 5 events were to be expected on one.
    """
    if not enough_for_rates(events, calls, other_events, other_calls):
        return RateJudgement(Word.NOT_ENOUGH)
    low, high = newcombe(events, calls, other_events, other_calls, UNUSUAL)
    if low <= 0 <= high:
        return RateJudgement(Word.NORMAL, low, high)
    wide_low, wide_high = newcombe(events, calls, other_events, other_calls, VERY_UNUSUAL)
    return RateJudgement(Word.UNUSUAL if wide_low <= 0 <= wide_high else Word.VERY_UNUSUAL, low, high)


def enough_for_rates(events: int, calls: int, other_events: int, other_calls: int) -> bool:
    """Tell whether two rates rest on enough to be compared."""
    fewest = min(calls, other_calls)
    return fewest >= FEWEST_CALLS and fewest * (events + other_events) >= FEWEST_EVENTS * (calls + other_calls)


def newcombe(events: int, calls: int, other_events: int, other_calls: int, z: float) -> tuple[float, float]:
    """Return Newcombe's interval (1998, method 10) for events/calls - other_events/other_calls."""
    rate, other = events / calls, other_events / other_calls
    (low, high), (other_low, other_high) = wilson(events, calls, z), wilson(other_events, other_calls, z)
    below = math.hypot(rate - low, other_high - other)
    above = math.hypot(high - rate, other - other_low)
    return rate - other - below, rate - other + above


def wilson(events: int, calls: int, z: float) -> tuple[float, float]:
    """Return Wilson's interval for a rate."""
    rate, square = events / calls, z * z
    centre = (rate + square / (2 * calls)) / (1 + square / calls)
    half = z / (1 + square / calls) * math.sqrt(rate * (1 - rate) / calls + square / (4 * calls * calls))
    return centre - half, centre + half
