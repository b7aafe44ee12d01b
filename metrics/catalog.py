"""The catalogue: every metric, declared once. Adding one is adding an entry.

Pages, alert rules, mails and exports take labels, units and formulas from here and nowhere else.
"""

from dataclasses import dataclass
from typing import Final, Literal

from metrics.formulas import Formula, Percentile, Ratio, Sum
from metrics.units import Unit


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured quantity."""

    key: str
    label: str
    unit: Unit
    better: Literal["lower", "higher"]
    formula: Formula
    description: str
    empty: Literal[0] | None = None
    """The value where there were no calls: a sum of nothing is 0, a rate or a latency of nothing is unknown."""
    alertable: bool = False

    @property
    def facts(self) -> frozenset[str]:
        """Return the names of the facts it is computed from."""
        return self.formula.facts


_ALL_INPUT = ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")

_ENTRIES: Final = (
    Metric(
        "requests",
        "Requests",
        Unit.COUNT,
        "higher",
        Sum("requests"),
        "Calls the application made, whatever became of them.",
        empty=0,
        alertable=True,
    ),
    Metric(
        "errors",
        "Errors",
        Unit.COUNT,
        "lower",
        Sum("errors"),
        "Calls that ended without an answer: failed, or refused before they were sent.",
        empty=0,
        alertable=True,
    ),
    Metric(
        "error_rate",
        "Error rate",
        Unit.RATIO,
        "lower",
        Ratio(("errors",), of=("requests",), less=("cancelled",)),
        "Share of calls that ended without an answer. Calls the caller gave up on are left out.",
        alertable=True,
    ),
    Metric(
        "success_rate",
        "Success rate",
        Unit.RATIO,
        "higher",
        Ratio(("errors",), of=("requests",), less=("cancelled",), complement=True),
        "Share of calls that were answered. Calls the caller gave up on are left out.",
        alertable=True,
    ),
    Metric(
        "cancelled",
        "Cancelled",
        Unit.COUNT,
        "lower",
        Sum("cancelled"),
        "Calls the caller gave up on before the answer was there.",
        empty=0,
        alertable=True,
    ),
    Metric(
        "degraded_rate",
        "Degraded rate",
        Unit.RATIO,
        "lower",
        Ratio(("degraded",), of=("requests",), less=("cancelled",)),
        "Share of calls answered by something other than the model that was asked for.",
        alertable=True,
    ),
    Metric(
        "spend",
        "Spend",
        Unit.NANOUSD,
        "lower",
        Sum("cost_nanousd"),
        "What the provider charges. Calls whose cost is unknown are not in it; see Unpriced.",
        empty=0,
        alertable=True,
    ),
    Metric(
        "cost_per_request",
        "Cost per request",
        Unit.NANOUSD,
        "lower",
        Ratio(("cost_nanousd",), of=("requests",), less=("unpriced",)),
        "Spend divided by the calls whose cost is known.",
        alertable=True,
    ),
    Metric(
        "input_tokens",
        "Input tokens",
        Unit.TOKENS,
        "lower",
        Sum("input_tokens"),
        "Prompt tokens at the full price; tokens read from or written to the cache are counted apart.",
        empty=0,
        alertable=True,
    ),
    Metric(
        "output_tokens",
        "Output tokens",
        Unit.TOKENS,
        "lower",
        Sum("output_tokens"),
        "Tokens the models wrote.",
        empty=0,
        alertable=True,
    ),
    Metric(
        "cache_read_tokens",
        "Cache read tokens",
        Unit.TOKENS,
        "higher",
        Sum("cache_read_tokens"),
        "Prompt tokens that came from the provider's prompt cache.",
        empty=0,
    ),
    Metric(
        "cache_write_tokens",
        "Cache write tokens",
        Unit.TOKENS,
        "lower",
        Sum("cache_write_5m_tokens", "cache_write_1h_tokens"),
        "Prompt tokens written to the provider's prompt cache, for five minutes or an hour.",
        empty=0,
    ),
    Metric(
        "cache_hit_rate",
        "Cache hit rate",
        Unit.RATIO,
        "higher",
        Ratio(("cache_read_tokens",), of=_ALL_INPUT),
        "Share of all prompt tokens that came from the provider's prompt cache.",
        alertable=True,
    ),
    Metric(
        "latency_p50",
        "Latency p50",
        Unit.MILLISECONDS,
        "lower",
        Percentile("latency", 50),
        "Half of the answered calls took no longer than this, retries and waits included.",
        alertable=True,
    ),
    Metric(
        "latency_p95",
        "Latency p95",
        Unit.MILLISECONDS,
        "lower",
        Percentile("latency", 95),
        "95 of 100 answered calls took no longer than this, retries and waits included.",
        alertable=True,
    ),
    Metric(
        "latency_p99",
        "Latency p99",
        Unit.MILLISECONDS,
        "lower",
        Percentile("latency", 99),
        "99 of 100 answered calls took no longer than this, retries and waits included.",
        alertable=True,
    ),
    Metric(
        "ttft_p50",
        "First token p50",
        Unit.MILLISECONDS,
        "lower",
        Percentile("ttft", 50),
        "In half of the streamed answers the first piece came within this time.",
        alertable=True,
    ),
    Metric(
        "ttft_p95",
        "First token p95",
        Unit.MILLISECONDS,
        "lower",
        Percentile("ttft", 95),
        "In 95 of 100 streamed answers the first piece came within this time.",
        alertable=True,
    ),
    Metric(
        "retries",
        "Retries",
        Unit.COUNT,
        "lower",
        Sum("retries"),
        "Attempts beyond the first of each call.",
        empty=0,
        alertable=True,
    ),
    Metric(
        "queue_wait",
        "Queue wait",
        Unit.MILLISECONDS,
        "lower",
        Ratio(("queue_ms",), of=("requests",)),
        "Average time a call waited in the application's own queue before it was sent.",
        alertable=True,
    ),
    Metric(
        "unpriced",
        "Unpriced",
        Unit.COUNT,
        "lower",
        Sum("unpriced"),
        "Calls whose cost is unknown: their model has no price, or the answer broke off before it said what it used.",
        empty=0,
        alertable=True,
    ),
    Metric(
        "truncated",
        "Truncated",
        Unit.COUNT,
        "lower",
        Sum("truncated"),
        "Answers cut off at the token limit.",
        empty=0,
        alertable=True,
    ),
    Metric(
        "refused",
        "Refused",
        Unit.COUNT,
        "lower",
        Sum("refused"),
        "Answers in which the model declined.",
        empty=0,
        alertable=True,
    ),
    Metric(
        "fully_loaded_cost",
        "Fully loaded cost",
        Unit.NANOUSD,
        "lower",
        Sum("cost_nanousd", "infra_nanousd"),
        "Spend plus the project's own infrastructure per request and per token.",
        empty=0,
        alertable=True,
    ),
)

METRICS: Final = {metric.key: metric for metric in _ENTRIES}
