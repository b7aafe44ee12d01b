"""Formulas: how a metric's value follows from the facts. Three kinds are enough, and each knows its own sample."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Final, Protocol, TypeVar

from ingest.histogram import quantile
from metrics.readings import Value

# Facts that every reading needs: its sample, and what its money leaves out.
ALWAYS: Final = frozenset({"requests", "unpriced"})

Key = TypeVar("Key")


@dataclass(slots=True)
class Totals:
    """The facts of some calls together."""

    sums: dict[str, int] = field(default_factory=dict)
    histograms: dict[str, dict[int, int]] = field(default_factory=dict)
    """Calls by histogram and bucket."""
    kept: dict[str, tuple[int | None, int]] = field(default_factory=dict)
    """Percentiles as stored, in ms, with the calls they rest on; only when all the calls lie in one rollup row."""

    def add(self, other: "Totals") -> None:
        """Merge in the facts of other calls; stored percentiles cannot be merged and must not meet."""
        _add(self.sums, other.sums)
        for name, counts in other.histograms.items():
            _add(self.histograms.setdefault(name, {}), counts)
        self.kept.update(other.kept)


def _add(to: dict[Key, int], more: Mapping[Key, int]) -> None:
    for key, count in more.items():
        to[key] = to.get(key, 0) + count


class Formula(Protocol):
    """What the catalogue asks of a formula."""

    @property
    def facts(self) -> frozenset[str]: ...

    @property
    def histogram(self) -> str: ...

    def value(self, totals: Totals) -> Value: ...

    def sample(self, totals: Totals) -> int: ...


class Sum:
    """Facts added up. Its sample is the number of calls."""

    histogram = ""

    def __init__(self, *names: str) -> None:
        self.names = names

    @property
    def facts(self) -> frozenset[str]:
        return frozenset(self.names)

    def value(self, totals: Totals) -> int:
        return _sum(totals, self.names)

    def sample(self, totals: Totals) -> int:
        return totals.sums.get("requests", 0)


class Ratio:
    """One sum divided by another; undefined when the divisor is zero. `complement` gives 1 minus it."""

    histogram = ""

    def __init__(
        self, names: tuple[str, ...], *, of: tuple[str, ...], less: tuple[str, ...] = (), complement: bool = False
    ) -> None:
        self.names = names
        self.of = of
        self.less = less
        self.complement = complement

    @property
    def facts(self) -> frozenset[str]:
        return frozenset({*self.names, *self.of, *self.less})

    def _divisor(self, totals: Totals) -> int:
        return _sum(totals, self.of) - _sum(totals, self.less)

    def value(self, totals: Totals) -> Decimal | None:
        divisor = self._divisor(totals)
        if divisor == 0:
            return None
        share = _sum(totals, self.names)
        # One division only, so that the value is the nearest Decimal to the exact quotient.
        return Decimal(divisor - share if self.complement else share) / Decimal(divisor)

    def sample(self, totals: Totals) -> int:
        calls = _sum(totals, self.of) - _sum(totals, self.less) if "requests" in self.of else None
        return totals.sums.get("requests", 0) if calls is None else calls


class Percentile:
    """The nearest-rank percentile of a histogram, in whole milliseconds; at most 5 % off the exact one."""

    facts: frozenset[str] = frozenset()

    def __init__(self, histogram: str, percent: int) -> None:
        self.histogram = histogram
        self.percent = percent

    def value(self, totals: Totals) -> int | None:
        kept = totals.kept.get(f"{self.histogram}_p{self.percent}")
        if kept is not None:
            return kept[0]
        counts = totals.histograms.get(self.histogram, {})
        buckets = sorted(counts)
        return quantile(buckets, [counts[bucket] for bucket in buckets], Fraction(self.percent, 100))

    def sample(self, totals: Totals) -> int:
        kept = totals.kept.get(f"{self.histogram}_p{self.percent}")
        return sum(totals.histograms.get(self.histogram, {}).values()) if kept is None else kept[1]


def _sum(totals: Totals, names: tuple[str, ...]) -> int:
    return sum(totals.sums.get(name, 0) for name in names)
