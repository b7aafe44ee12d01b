"""Formulas: how a metric's value follows from the facts. Three kinds are enough, and each knows its own sample."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context
from fractions import Fraction
from typing import Final, Protocol, TypeVar

from ingest.histogram import quantile
from metrics.readings import Value

# Facts that every reading needs: its sample, and what its money leaves out.
ALWAYS: Final = frozenset({"requests", "unpriced"})
# Quotients are rounded once, to 28 digits, whatever the caller's own context says.
_EXACT: Final = Context(prec=28)

Counted = TypeVar("Counted")


@dataclass(slots=True)
class Totals:
    """The facts of some calls together."""

    sums: dict[str, int] = field(default_factory=dict)
    histograms: dict[str, dict[int, int]] = field(default_factory=dict)
    """Calls by histogram and bucket."""
    kept: dict[str, int | None] = field(default_factory=dict)
    """Percentiles in ms as stored, by column; only where all the calls lie in one rollup row."""
    observed: dict[str, int] = field(default_factory=dict)
    """With `kept`: the calls in each histogram."""

    def add(self, other: "Totals") -> None:
        """Merge in the facts of other calls. Percentiles cannot be merged, only histograms."""
        _add(self.sums, other.sums)
        for name, counts in other.histograms.items():
            _add(self.histograms.setdefault(name, {}), counts)


def _add(to: dict[Counted, int], more: Mapping[Counted, int]) -> None:
    for key, count in more.items():
        to[key] = to.get(key, 0) + count


class Formula(Protocol):
    """What the catalogue asks of a formula."""

    facts: frozenset[str]
    histogram: str
    """The histogram it is read from; empty: none."""

    def value(self, totals: Totals) -> Value:
        """Return the value; None when it is undefined."""
        ...

    def sample(self, totals: Totals) -> int:
        """Return the number of calls the value rests on."""
        ...


class Sum:
    """Facts added up. Its sample is all calls."""

    histogram = ""

    def __init__(self, *names: str) -> None:
        self.facts = frozenset(names)
        self._names = names

    def value(self, totals: Totals) -> int:
        return _sum(totals, self._names)

    def sample(self, totals: Totals) -> int:
        return totals.sums.get("requests", 0)


class Ratio:
    """Facts divided by the facts `of` minus the facts `less`; `complement` gives 1 minus that.

    Undefined when the divisor is zero. Its sample is the divisor when that counts calls, all calls otherwise.
    """

    histogram = ""

    def __init__(
        self, names: tuple[str, ...], *, of: tuple[str, ...], less: tuple[str, ...] = (), complement: bool = False
    ) -> None:
        self.facts = frozenset({*names, *of, *less})
        self._names = names
        self._of = of
        self._less = less
        self._complement = complement

    def value(self, totals: Totals) -> Value:
        divisor = self._divisor(totals)
        if divisor == 0:
            return None
        share = _sum(totals, self._names)
        return _EXACT.divide(divisor - share if self._complement else share, divisor)

    def sample(self, totals: Totals) -> int:
        return self._divisor(totals) if self._of == ("requests",) else totals.sums.get("requests", 0)

    def _divisor(self, totals: Totals) -> int:
        return _sum(totals, self._of) - _sum(totals, self._less)


class Percentile:
    """The nearest-rank percentile of a histogram, in whole milliseconds; at most 5 % off the exact one."""

    facts: frozenset[str] = frozenset()

    def __init__(self, histogram: str, percent: int) -> None:
        self.histogram = histogram
        self._column = f"{histogram}_p{percent}"
        self._share = Fraction(percent, 100)

    def value(self, totals: Totals) -> int | None:
        if self._column in totals.kept:
            return totals.kept[self._column]
        counts = totals.histograms.get(self.histogram, {})
        buckets = sorted(counts)
        return quantile(buckets, [counts[bucket] for bucket in buckets], self._share)

    def sample(self, totals: Totals) -> int:
        if self.histogram in totals.observed:
            return totals.observed[self.histogram]
        return sum(totals.histograms.get(self.histogram, {}).values())


def _sum(totals: Totals, names: tuple[str, ...]) -> int:
    return sum(totals.sums.get(name, 0) for name in names)
