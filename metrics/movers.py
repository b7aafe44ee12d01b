"""Movers: which parts of the calls make up a difference, and which of them moved more than chance explains.

Many parts are looked at, so some would look odd by chance alone: of those called unusual at most 10 % are expected to
be so (Benjamini and Hochberg 1995).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import combinations
from typing import Final

from metrics.baseline import (
    FEWEST_CALLS,
    FEWEST_WEEKS,
    LEAST,
    UNUSUAL,
    VERY_UNUSUAL,
    Word,
    deviation,
    enough_for_rates,
    median,
)

FALSE_DISCOVERIES: Final = 0.10
# With fewer pairs of weeks than this, the scatter of parts is not learned from them.
_FEWEST_PAIRS: Final = 6
# The square of what a normal value exceeds in half of all cases, in standard deviations.
_MIDDLE_SQUARE: Final = 0.45494
_HALVINGS: Final = 30


class Kind(StrEnum):
    """Whether a part is on both sides."""

    STAYED = ""
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Moved:
    """One part of the calls on both sides. `now` and `before` add up over the parts of a dimension."""

    dimension: str
    name: str
    now: int
    before: int
    p: float | None
    """How likely chance alone moves it so far; None: there is not enough to tell."""
    was_known: bool = True
    """It had calls in one of the weeks looked at."""
    calls: int | None = None
    """The calls of a rate on both sides: they are its size, not the events among them."""

    @property
    def difference(self) -> int:
        return self.now - self.before

    @property
    def size(self) -> int:
        return self.now + self.before if self.calls is None else self.calls

    @property
    def kind(self) -> Kind:
        if self.before == 0 and self.now != 0 and not self.was_known:
            return Kind.NEW
        return Kind.GONE if self.now == 0 and self.before != 0 else Kind.STAYED


@dataclass(frozen=True, slots=True)
class Mover:
    """A part with its share of the difference and a verdict."""

    part: Moved
    share: Fraction | None
    """Of the whole difference; more than 1 when other parts went the other way. None when the whole is the same."""
    word: Word


@dataclass(frozen=True, slots=True)
class Leading:
    """The part of a dimension that explains the difference best."""

    mover: Mover
    excess: Fraction
    """Its share of all movement beyond its share of the size: 0 says that it moved like everything else."""


def movers(parts: Sequence[Moved], difference: int) -> list[Mover]:
    """Give each part its share of the whole difference and its verdict, the largest movement first."""
    found = discoveries([part.p for part in parts])
    judged = [
        Mover(part, Fraction(part.difference, difference) if difference else None, _word(part, is_found))
        for part, is_found in zip(parts, found, strict=True)
    ]
    return sorted(judged, key=lambda mover: (-abs(mover.part.difference), mover.part.dimension, mover.part.name))


def leading(ranked: Iterable[Mover]) -> list[Leading]:
    """Return the part of each dimension that explains the difference best, the best dimension first.

    A part that makes up 90 % of the calls and of the movement explains nothing; one with 10 % of the calls and 80 % of
    the movement does.
    """
    by_dimension: dict[str, list[Mover]] = {}
    for mover in ranked:
        by_dimension.setdefault(mover.part.dimension, []).append(mover)
    best = [max((_leading(mover, group) for mover in group), key=_excess) for group in by_dimension.values()]
    return sorted((one for one in best if one.excess > 0), key=lambda one: (-one.excess, one.mover.part.dimension))


def _leading(mover: Mover, group: Sequence[Mover]) -> Leading:
    movement = sum(abs(each.part.difference) for each in group)
    size = sum(each.part.size for each in group)
    part = mover.part
    if movement == 0 or size == 0:
        return Leading(mover, Fraction(0))
    return Leading(mover, Fraction(abs(part.difference), movement) - Fraction(part.size, size))


def _excess(one: Leading) -> Fraction:
    return one.excess


def _word(part: Moved, is_found: bool) -> Word:
    if part.p is None:
        return Word.NOT_ENOUGH
    if not is_found or part.p > tail(UNUSUAL):
        return Word.NORMAL
    return Word.VERY_UNUSUAL if part.p < tail(VERY_UNUSUAL) else Word.UNUSUAL


def discoveries(chances: Sequence[float | None], rate: float = FALSE_DISCOVERIES) -> list[bool]:
    """Tell which of many p-values stand when at most a share `rate` of those that do may be chance; None never does."""
    known = sorted(p for p in chances if p is not None)
    limit = max((p for rank, p in enumerate(known, start=1) if p <= rate * rank / len(known)), default=-1.0)
    return [p is not None and p <= limit for p in chances]


def tail(z: float) -> float:
    """Return how likely chance alone gets so many deviations away, to either side."""
    return math.erfc(abs(z) / math.sqrt(2))


def chance_of_rates(events: int, calls: int, other_events: int, other_calls: int) -> float | None:
    """Return the p-value of the difference of two rates (the z-test of two proportions); None: not enough data."""
    if not enough_for_rates(events, calls, other_events, other_calls):
        return None
    pooled = (events + other_events) / (calls + other_calls)
    scatter = math.sqrt(pooled * (1 - pooled) * (1 / calls + 1 / other_calls))
    return tail((events / calls - other_events / other_calls) / scatter) if scatter > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Aligned:
    """One part's sum in whole hours, and in the same hours of the weeks before."""

    value: int
    calls: int
    weeks: Sequence[int]
    """One entry for each week the project had calls in; 0 when this part had none."""
    week_calls: Sequence[int]


def chances_of_sums(parts: Mapping[str, Aligned], *, per_call: float, noise: float) -> dict[str, float | None]:
    """Return the p-value of each part's sum against its weeks before.

    `noise` is the relative scatter of all calls together; that of single parts is learned from all parts, because three
    or four weeks of one say little. None for a part with fewer than two weeks, or too few calls to tell anything.
    """
    known = {name: part for name, part in parts.items() if _is_known(part)}
    scatter = max(noise, _scatter(list(known.values()), per_call))
    return {name: _chance(part, per_call, scatter) if name in known else None for name, part in parts.items()}


def _is_known(part: Aligned) -> bool:
    enough = len(part.weeks) >= FEWEST_WEEKS and max(part.calls, *part.week_calls) >= FEWEST_CALLS
    return enough and median(map(Fraction, part.weeks)) > 0


def _by_chance(part: Aligned, per_call: float) -> float:
    """Return the relative variance of a sum over as many independent calls."""
    return per_call / max(float(median(map(Fraction, part.week_calls))), 1.0)


def _scatter(parts: Sequence[Aligned], per_call: float) -> float:
    """Return the relative scatter of parts beyond that of independent calls.

    It is what makes the distance of two weeks of a part, in standard deviations, as large in the middle case as it is
    for normal values.
    """
    pairs = [
        (((one - other) / float(median(map(Fraction, part.weeks)))) ** 2 / 2, _by_chance(part, per_call))
        for part in parts
        for one, other in combinations(part.weeks, 2)
    ]
    if len(pairs) < _FEWEST_PAIRS:
        return 0.0
    low, high = 0.0, max(square for square, _ in pairs) / _MIDDLE_SQUARE
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        wider = sum(1 for square, chance in pairs if square > _MIDDLE_SQUARE * (chance + middle))
        low, high = (middle, high) if 2 * wider > len(pairs) else (low, middle)
    return math.sqrt(high)


def _chance(part: Aligned, per_call: float, scatter: float) -> float:
    weeks = [Fraction(week) for week in part.weeks]
    usual = median(weeks)
    floor = float(usual) * max(LEAST, math.sqrt(_by_chance(part, per_call) + scatter**2))
    spread = max(deviation(weeks, usual), floor)
    # The median of n weeks is itself uncertain: its variance is pi/2n of theirs.
    return tail(float(part.value - usual) / spread / math.sqrt(1 + math.pi / (2 * len(weeks))))
