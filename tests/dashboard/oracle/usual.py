"""What is usual: values held against the same hours of weeks before, rates against each other, parts against chance."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from statistics import median

NORMAL = 1.4826
"""Makes a median absolute deviation an estimate of the standard deviation."""
OF_FEW = {2: 1.196, 3: 1.495, 4: 1.363, 5: 1.206, 6: 1.200, 7: 1.140, 8: 1.129}
"""Croux and Rousseeuw (1992): of few values it is too small by these factors."""
Interval = tuple[float, float]


@dataclass(frozen=True)
class Verdict:
    word: str
    """Empty where nothing can be said; then `why` says so."""
    why: str = ""
    z: float | None = None
    weeks: int = 0
    interval: Interval | None = None

    @property
    def is_alarm(self) -> bool:
        return self.word in ("unusual", "very unusual")


def word_of(z: float) -> str:
    return "very unusual" if abs(z) > 3.5 else "unusual" if abs(z) >= 2 else "normal"


def judged(value: Fraction, weeks: Sequence[Fraction], least: float) -> Verdict:
    usual = median(weeks)
    spread = max(_deviation(weeks), least)
    away = float(value - usual)
    z = away / spread if spread > 0 else math.copysign(math.inf, away) if away else 0.0
    return Verdict(word_of(z), z=z, weeks=len(weeks))


def _deviation(weeks: Sequence[Fraction]) -> float:
    usual = median(weeks)
    return NORMAL * OF_FEW[len(weeks)] * float(median([abs(week - usual) for week in weeks]))


def noise(groups: Iterable[Sequence[float]]) -> float:
    """The relative scatter of weeks, from how far any two of a group lie apart."""
    apart = []
    for group in groups:
        ordered = sorted(map(float, group))
        if len(ordered) >= 2 and (usual := median(ordered)) > 0:
            apart += [(larger - smaller) / usual for smaller, larger in combinations(ordered, 2)]
    return NORMAL * median(apart) / math.sqrt(2) if len(apart) >= 6 else 0.0


# --- rates


def wilson(events: int, calls: int, z: float) -> Interval:
    rate = events / calls
    middle = (rate + z * z / (2 * calls)) / (1 + z * z / calls)
    half = z / (1 + z * z / calls) * math.sqrt(rate * (1 - rate) / calls + z * z / (4 * calls * calls))
    return middle - half, middle + half


def newcombe(events: int, calls: int, others: int, other_calls: int, z: float) -> Interval:
    """The interval of the difference of two rates (Newcombe 1998, method 10)."""
    rate, other = events / calls, others / other_calls
    (low, high), (other_low, other_high) = wilson(events, calls, z), wilson(others, other_calls, z)
    below, above = math.hypot(rate - low, other_high - other), math.hypot(high - rate, other - other_low)
    return rate - other - below, rate - other + above


def is_enough(events: int, calls: int, others: int, other_calls: int) -> bool:
    """Thirty calls on each side, and five events to be expected there."""
    fewest = min(calls, other_calls)
    return fewest >= 30 and Fraction(fewest * (events + others), calls + other_calls) >= 5


def judged_rates(events: int, calls: int, others: int, other_calls: int) -> Verdict:
    if not is_enough(events, calls, others, other_calls):
        return Verdict("not enough data")
    near, far = (newcombe(events, calls, others, other_calls, z) for z in (2.0, 3.5))
    if near[0] <= 0 <= near[1]:
        return Verdict("normal", interval=near)
    return Verdict("unusual" if far[0] <= 0 <= far[1] else "very unusual", interval=near)


# --- parts


def tail(z: float) -> float:
    """How likely a normal value is so far away, to either side."""
    return math.erfc(abs(z) / math.sqrt(2))


def chance_of_rates(events: int, calls: int, others: int, other_calls: int) -> float | None:
    """The z-test of two proportions."""
    if not is_enough(events, calls, others, other_calls):
        return None
    pooled = (events + others) / (calls + other_calls)
    scatter = math.sqrt(pooled * (1 - pooled) * (1 / calls + 1 / other_calls))
    return tail((events / calls - others / other_calls) / scatter) if scatter > 0 else 1.0


@dataclass(frozen=True)
class Aligned:
    """A part in whole hours: its sum and calls, and those of the weeks before."""

    value: int
    calls: int
    weeks: Sequence[int]
    week_calls: Sequence[int]

    @property
    def usual(self) -> Fraction:
        return median(map(Fraction, self.weeks))

    @property
    def is_known(self) -> bool:
        return len(self.weeks) >= 2 and max(self.calls, *self.week_calls) >= 30 and self.usual > 0

    def by_chance(self, per_call: float) -> float:
        return per_call / max(float(median(map(Fraction, self.week_calls))), 1.0)


def chances(parts: Mapping[str, Aligned], per_call: float, of_all: float) -> dict[str, float | None]:
    """The p-values of parts. What scatters beyond chance is learned from all of them together."""
    known = [part for part in parts.values() if part.is_known]
    scatter = max(of_all, _beyond_chance(known, per_call))
    return {name: _chance(part, per_call, scatter) if part.is_known else None for name, part in parts.items()}


def _beyond_chance(parts: Sequence[Aligned], per_call: float) -> float:
    """Such that half of the pairs of weeks lie further apart than half of all normal values would."""
    pairs = [
        (((one - other) / float(part.usual)) ** 2 / 2, part.by_chance(per_call))
        for part in parts
        for one, other in combinations(part.weeks, 2)
    ]
    if len(pairs) < 6:
        return 0.0
    half = 0.45494
    low, high = 0.0, max(square for square, _ in pairs) / half
    for _ in range(30):
        middle = (low + high) / 2
        if 2 * sum(square > half * (chance + middle) for square, chance in pairs) > len(pairs):
            low = middle
        else:
            high = middle
    return math.sqrt(high)


def _chance(part: Aligned, per_call: float, scatter: float) -> float:
    weeks = [Fraction(week) for week in part.weeks]
    least = float(part.usual) * max(0.02, math.sqrt(part.by_chance(per_call) + scatter**2))
    spread = max(_deviation(weeks), least)
    return tail(float(part.value - part.usual) / spread / math.sqrt(1 + math.pi / (2 * len(weeks))))


def words(found: Sequence[float | None]) -> list[str]:
    """Of those called unusual one in ten may be chance (Benjamini and Hochberg 1995)."""
    known = sorted(p for p in found if p is not None)
    limit = max((p for rank, p in enumerate(known, 1) if p <= 0.10 * rank / len(known)), default=-1.0)

    def word(p: float | None) -> str:
        if p is None:
            return "not enough data"
        if p > limit or p > tail(2.0):
            return "normal"
        return "very unusual" if p < tail(3.5) else "unusual"

    return list(map(word, found))
