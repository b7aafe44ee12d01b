"""Formulas: how a metric's value follows from the facts. Three kinds are enough, and each knows its own sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context
from fractions import Fraction
from typing import Any, Final, Protocol, TypeVar

from ingest.histogram import quantile
from metrics.facts import BREAKER_FACT_NAMES, FACT_NAMES, HISTOGRAMS, SCORE_FACT_NAMES
from metrics.readings import Value

# Facts that every reading needs: its sample, and what its money leaves out.
ALWAYS: Final = frozenset({"requests", "unpriced"})
# Quotients are rounded once, to 28 digits, whatever the caller's own context says.
_EXACT: Final = Context(prec=28)

_SUMMED: Final = FACT_NAMES | SCORE_FACT_NAMES | BREAKER_FACT_NAMES

Counted = TypeVar("Counted")
# Facts, percentiles and sizes of histograms by name, each with one entry per cell. A dashboard has thousands of cells,
# and a formula goes through them in one sweep.
Columns = Mapping[str, Sequence[Any]]


@dataclass(slots=True)
class Totals:
    """The facts of some calls together: sums by fact, calls by histogram and bucket.

    Sums are whole numbers, but for that of scores: a decimal of 28 digits.
    """

    sums: dict[str, Any] = field(default_factory=dict)
    histograms: dict[str, dict[int, int]] = field(default_factory=dict)

    def add(self, other: "Totals") -> None:
        """Merge in the facts of other calls."""
        _add(self.sums, other.sums)
        for name, counts in other.histograms.items():
            _add(self.histograms.setdefault(name, {}), counts)


def _add(to: dict[Counted, int], more: Mapping[Counted, int]) -> None:
    for key, count in more.items():
        to[key] = to.get(key, 0) + count


def columns_of(cells: Sequence[Totals]) -> Columns:
    """Return the facts of some cells by name, with the percentiles of their merged histograms."""
    columns: dict[str, list[Any]] = {name: [cell.sums.get(name, 0) for cell in cells] for name in _SUMMED}
    for histogram in HISTOGRAMS:
        merged = [sorted(cell.histograms.get(histogram.name, {}).items()) for cell in cells]
        for column, percent in histogram.columns.items():
            columns[column] = [_quantile(places, Fraction(percent, 100)) for places in merged]
        columns[histogram.size] = [sum(calls for _, calls in places) for places in merged]
    return columns


def _quantile(places: Sequence[tuple[int, int]], share: Fraction) -> int | None:
    return quantile([place for place, _ in places], [calls for _, calls in places], share)


class Formula(Protocol):
    """What the catalogue asks of a formula."""

    facts: frozenset[str]
    histogram: str
    """The histogram it is read from; empty: none."""

    def values(self, cells: Columns) -> Sequence[Value]:
        """Return the value in each cell; None where it is undefined."""
        ...

    def samples(self, cells: Columns) -> Sequence[int]:
        """Return the number of calls each value rests on."""
        ...


class Sum:
    """Facts added up. Its sample is all calls, or what `sample` counts."""

    histogram = ""

    def __init__(self, *names: str, sample: str = "requests") -> None:
        self.facts = frozenset(names)
        self._names = names
        self._sample = sample

    def values(self, cells: Columns) -> Sequence[int]:
        return _sums(cells, self._names)

    def samples(self, cells: Columns) -> Sequence[int]:
        return cells[self._sample]


class Ratio:
    """Facts divided by the facts `of` minus the facts `less`; `complement` gives 1 minus that.

    Undefined when the divisor is zero. Its sample is the divisor when that counts calls or scores, all calls otherwise.
    """

    _COUNTS: Final = frozenset({("requests",), ("validated",), ("score_numbers",)})

    histogram = ""

    def __init__(
        self, names: tuple[str, ...], *, of: tuple[str, ...], less: tuple[str, ...] = (), complement: bool = False
    ) -> None:
        self.facts = frozenset({*names, *of, *less})
        self._names = names
        self._of = of
        self._less = less
        self._complement = complement

    def values(self, cells: Columns) -> Sequence[Value]:
        shares, divisors = _sums(cells, self._names), self._divisors(cells)
        if self._complement:
            shares = [divisor - share for share, divisor in zip(shares, divisors, strict=True)]
        return [
            None if divisor == 0 else _EXACT.divide(share, divisor)
            for share, divisor in zip(shares, divisors, strict=True)
        ]

    def samples(self, cells: Columns) -> Sequence[int]:
        return self._divisors(cells) if self._of in self._COUNTS else cells["requests"]

    def _divisors(self, cells: Columns) -> Sequence[int]:
        whole = _sums(cells, self._of)
        if not self._less:
            return whole
        return [of - less for of, less in zip(whole, _sums(cells, self._less), strict=True)]


class Percentile:
    """The nearest-rank percentile of a histogram, in whole milliseconds; at most 5 % off the exact one."""

    facts: frozenset[str] = frozenset()

    def __init__(self, histogram: str, percent: int) -> None:
        self.histogram = histogram
        self._column = f"{histogram}_p{percent}"

    def values(self, cells: Columns) -> Sequence[int | None]:
        return cells[self._column]

    def samples(self, cells: Columns) -> Sequence[int]:
        return cells[f"{self.histogram}_calls"]


def _sums(cells: Columns, names: tuple[str, ...]) -> Sequence[int]:
    if len(names) == 1:
        return cells[names[0]]
    return [sum(each) for each in zip(*(cells[name] for name in names), strict=True)]
