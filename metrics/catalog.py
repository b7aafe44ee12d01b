"""The catalogue: every metric, declared once. Adding one is adding an entry.

Pages, alert rules, mails and exports take labels, units and formulas from here and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from metrics.formulas import Formula, Percentile, Ratio, Sum
from metrics.slices import Dimension
from metrics.units import Unit

Source = Literal["calls", "scores", "breakers"]

_DIMENSIONS: Final[tuple[Dimension, ...]] = get_args(Dimension)
# What is known of each: the fields of a slice that may be set, and that answers can be cut by.
DIMENSIONS_OF: Final[Mapping[Source, tuple[Dimension, ...]]] = {
    "calls": tuple(dimension for dimension in _DIMENSIONS if dimension != "score"),
    "scores": _DIMENSIONS,
    "breakers": ("model",),
}


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
    source: Source = "calls"
    """What it is measured of. Metrics of different sources are different questions."""
    of_one_score: bool = False
    """It makes sense for scores of one name only: nobody told what scale each is on."""

    @property
    def facts(self) -> frozenset[str]:
        """Return the names of the facts it is computed from."""
        return self.formula.facts


_ALL_INPUT = ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")

# Of the same call only one of these is more than nothing, so they add up.
_WASTE = ("failed_nanousd", "truncated_nanousd", "invalid_nanousd")

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
        "cache_write_5m_tokens",
        "Cache writes for 5 minutes",
        Unit.TOKENS,
        "lower",
        Sum("cache_write_5m_tokens"),
        "Prompt tokens written to the provider's prompt cache for five minutes.",
        empty=0,
    ),
    Metric(
        "cache_write_1h_tokens",
        "Cache writes for an hour",
        Unit.TOKENS,
        "lower",
        Sum("cache_write_1h_tokens"),
        "Prompt tokens written to the provider's prompt cache for an hour.",
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
    Metric(
        "tokens",
        "Tokens",
        Unit.TOKENS,
        "lower",
        Sum(*_ALL_INPUT, "output_tokens"),
        "All tokens together: those in, cached or not, and those out.",
        empty=0,
        alertable=True,
    ),
    Metric(
        "attempts",
        "Attempts",
        Unit.COUNT,
        "lower",
        Sum("attempts"),
        "Requests that went out to the provider, each retry counted.",
        empty=0,
        alertable=True,
    ),
    Metric(
        "attempt_error_rate",
        "Failed attempts",
        Unit.RATIO,
        "lower",
        Ratio(("answered_sent",), of=("attempts",), complement=True),
        "Share of attempts that did not bring an answer, also where a later attempt of the same call did.",
        alertable=True,
    ),
    Metric(
        "retry_rate",
        "Retried",
        Unit.RATIO,
        "lower",
        Ratio(("retried",), of=("requests",)),
        "Share of calls that needed more than one attempt.",
        alertable=True,
    ),
    Metric(
        "streamed_share",
        "Streamed",
        Unit.RATIO,
        "higher",
        Ratio(("streamed",), of=("requests",)),
        "Share of calls whose answer was asked for piece by piece.",
    ),
    Metric(
        "client_cache_rate",
        "Answered from the client's cache",
        Unit.RATIO,
        "higher",
        Ratio(("cache_answers",), of=("requests",)),
        "Share of calls answered with what the client had kept, without asking the provider.",
        alertable=True,
    ),
    Metric(
        "fallback_rate",
        "Fallback rate",
        Unit.RATIO,
        "lower",
        Ratio(("fallbacks",), of=("requests",)),
        "Share of calls that a stand-in took over: another model, an old answer, a rule, a queue or a notice.",
        alertable=True,
    ),
    Metric(
        "truncation_rate",
        "Truncation rate",
        Unit.RATIO,
        "lower",
        Ratio(("truncated",), of=("requests",), less=("cancelled",)),
        "Share of calls whose answer was cut off at the token limit. Calls the caller gave up on are left out.",
        alertable=True,
    ),
    Metric(
        "refusal_rate",
        "Refusal rate",
        Unit.RATIO,
        "lower",
        Ratio(("refused",), of=("requests",), less=("cancelled",)),
        "Share of calls in which the model declined. Calls the caller gave up on are left out.",
        alertable=True,
    ),
    Metric(
        "valid_rate",
        "Valid answers",
        Unit.RATIO,
        "higher",
        Ratio(("invalid",), of=("validated",), complement=True),
        "Share of the checked answers that had the form asked for.",
        alertable=True,
    ),
    Metric(
        "output_length",
        "Tokens per answer",
        Unit.TOKENS,
        "lower",
        Ratio(("output_tokens",), of=("requests",), less=("errors", "cancelled")),
        "Tokens the models wrote, those of calls that failed included, divided by the calls that were answered.",
        alertable=True,
    ),
    Metric(
        "repair_rate",
        "Repair rate",
        Unit.RATIO,
        "lower",
        Ratio(("repaired",), of=("requests",)),
        "Share of calls that had to ask again because an answer had the wrong form.",
        alertable=True,
    ),
    Metric(
        "repairs",
        "Repairs",
        Unit.COUNT,
        "lower",
        Sum("repairs"),
        "Times an answer was asked for again because it had the wrong form.",
        empty=0,
        alertable=True,
    ),
    Metric(
        "cost_per_success",
        "Cost per answer",
        Unit.NANOUSD,
        "lower",
        Ratio(("cost_nanousd",), of=("requests",), less=("errors", "cancelled")),
        "Spend of all calls, failed ones too, divided by the calls that were answered.",
        alertable=True,
    ),
    Metric(
        "cost_of_waste",
        "Cost of waste",
        Unit.NANOUSD,
        "lower",
        Sum(*_WASTE),
        "What was paid for calls that brought no usable answer: failed, cut off or in the wrong form.",
        empty=0,
        alertable=True,
    ),
    Metric(
        "waste_share",
        "Share wasted",
        Unit.RATIO,
        "lower",
        Ratio(_WASTE, of=("cost_nanousd",)),
        "Part of the spend that went to calls that brought no usable answer.",
        alertable=True,
    ),
    Metric(
        "failed_spend",
        "Spend on failed calls",
        Unit.NANOUSD,
        "lower",
        Sum("failed_nanousd"),
        "What was paid for calls that ended without an answer: broken streams, and failures that were billed.",
        empty=0,
        alertable=True,
    ),
    Metric(
        "truncated_spend",
        "Spend on cut-off answers",
        Unit.NANOUSD,
        "lower",
        Sum("truncated_nanousd"),
        "What was paid for answers that were cut off at the token limit.",
        empty=0,
        alertable=True,
    ),
    Metric(
        "invalid_spend",
        "Spend on invalid answers",
        Unit.NANOUSD,
        "lower",
        Sum("invalid_nanousd"),
        "What was paid for answers in the wrong form, those that were cut off left out.",
        empty=0,
        alertable=True,
    ),
    Metric(
        "cache_savings",
        "Cache savings",
        Unit.NANOUSD,
        "higher",
        Sum("cache_saved_nanousd"),
        "What the provider's prompt cache saved; below zero when writing to it cost more. An estimate at list prices:"
        " rates for long prompts, batches, fast mode and regions are left out.",
        empty=0,
    ),
    Metric(
        "scores",
        "Scores",
        Unit.COUNT,
        "higher",
        Sum("scores", sample="scores"),
        "What people and programs told of answers, numbers and words, at the time of the call it was told of.",
        empty=0,
        source="scores",
    ),
    Metric(
        "score_mean",
        "Mean score",
        Unit.NUMBER,
        "higher",
        Ratio(("score_total",), of=("score_numbers",)),
        "Mean of the numbers told under one name, on whatever scale they are; at the time of the call.",
        source="scores",
        of_one_score=True,
    ),
    Metric(
        "breaker_open_ms",
        "Breaker open",
        Unit.MILLISECONDS,
        "lower",
        Sum("breaker_open_ms", sample="breakers"),
        "Time in which at least one client's breaker was open, of any group of models or of one; not the time in which"
        " it let single calls through to find out.",
        empty=0,
        source="breakers",
    ),
)

METRICS: Final = {metric.key: metric for metric in _ENTRIES}
