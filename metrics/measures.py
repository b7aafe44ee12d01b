"""Measures: what two windows are compared by, each once: how it adds up over parts, and how chance moves it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from metrics.baseline import LEAST
from metrics.catalog import METRICS, Metric
from metrics.facts import HISTOGRAMS
from metrics.formulas import Totals, columns_of
from metrics.readings import Value
from metrics.units import Unit

TOKEN_FACTS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
)
FACTS: Final = frozenset({"requests", "errors", "cancelled", "unpriced", "cost_nanousd", *TOKEN_FACTS})
"""All that measures, and the bridge, are made of."""
LATENCY: Final = HISTOGRAMS[0].name


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric of the catalogue, and what of it adds up over parts."""

    metric: str
    parts_label: str
    """What is counted of each part."""
    parts_unit: Unit
    test: Literal["weeks", "rates"]
    """Whether a part is held against its weeks before, or its rate against the rate of the other window."""
    amount: Callable[[Totals], int] = lambda totals: totals.sums.get("requests", 0)
    """What of it adds up, from the totals of a part. Slow calls need a limit: see `slower_than`."""
    least: float = LEAST
    """The least relative scatter that is taken for usual."""
    per_call: float = 1.0
    """Relative variance of the sum over one call: 1 for a count, about 2 for what differs from call to call."""

    @property
    def key(self) -> str:
        return self.metric

    @property
    def of(self) -> Metric:
        return METRICS[self.metric]

    def value(self, totals: Totals) -> Value:
        """Return the metric of these calls."""
        if totals.sums.get("requests", 0) == 0:
            return self.of.empty
        (value,) = self.of.formula.values(columns_of([totals]))
        return value


def _sum(*facts: str) -> Callable[[Totals], int]:
    return lambda totals: sum(totals.sums.get(fact, 0) for fact in facts)


def slower_than(bucket: int) -> Callable[[Totals], int]:
    """Return how to count the answered calls in the buckets above this one."""
    return lambda totals: sum(calls for place, calls in totals.histograms.get(LATENCY, {}).items() if place > bucket)


def answered(totals: Totals) -> int:
    """Return the calls in the latency histogram."""
    return sum(totals.histograms.get(LATENCY, {}).values())


def finished(totals: Totals) -> int:
    """Return the calls an error rate rests on."""
    finished: int = totals.sums.get("requests", 0) - totals.sums.get("cancelled", 0)
    return finished


_ENTRIES: Final = (
    Measure("spend", "Cost", Unit.NANOUSD, "weeks", _sum("cost_nanousd"), per_call=2.0),
    Measure("requests", "Requests", Unit.COUNT, "weeks", _sum("requests")),
    Measure("tokens", "Tokens", Unit.TOKENS, "weeks", _sum(*TOKEN_FACTS), per_call=2.0),
    Measure("error_rate", "Errors", Unit.COUNT, "rates", _sum("errors")),
    # Neighbouring buckets of the histogram are a tenth apart, so a percentile is not known better than that. For usual
    # latencies (the logarithm scatters by 1) the p95 of n calls scatters by 2 / sqrt(n).
    Measure("latency_p95", "Slow calls", Unit.COUNT, "rates", least=0.1, per_call=4.0),
)
MEASURES: Final = {measure.key: measure for measure in _ENTRIES}
"""What can be compared, the default first."""
