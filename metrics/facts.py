"""Facts: what every rollup row knows of its calls, and how each is counted from them.

Only what can be merged is kept: sums, and counts per histogram bucket. The same entries write the rollups and read
them, so a fact cannot mean one thing in a minute and another in a day.
"""

from dataclasses import dataclass
from typing import Final

from ingest.vocabulary import ANSWERED, FAILED, ErrorCategory, Outcome, StopReason


def _listed(words: tuple[int, ...]) -> str:
    return ", ".join(str(int(word)) for word in words)


@dataclass(frozen=True, slots=True)
class Fact:
    """One column of the rollups. `of_calls` is its SQL over rows of request_log; rows of it merge by sum."""

    name: str
    of_calls: str
    per_user: bool = False
    """Kept in user_day and user_month too."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Calls counted per logarithmic bucket, in `<name>_buckets` and `<name>_counts`, and the percentiles kept of it."""

    name: str
    of_call: str
    """SQL for one call's bucket; NULL keeps the call out."""
    percentiles: tuple[int, ...]
    calls: str
    """SQL for the number of calls in one rollup row's histogram."""

    @property
    def size(self) -> str:
        """Return the name under which `calls` is read."""
        return f"{self.name}_calls"

    @property
    def columns(self) -> dict[str, int]:
        """Return the stored percentile columns and the percentage each holds, in milliseconds."""
        return {f"{self.name}_p{percent}": percent for percent in self.percentiles}


MOST_MONEY: Final = 2**63 - 1
"""Nano-dollars a column holds. Only made-up calls get there, and they must not stop the counting of the true ones."""


def money(column: str) -> str:
    """Return SQL for a sum of money that stays within its column."""
    return f"least(coalesce(sum({column}), 0), {MOST_MONEY})"


_ANSWERED = f"outcome IN ({_listed(ANSWERED)})"
_CUT_OFF = f"stop_reason IN ({_listed((StopReason.MAX_TOKENS, StopReason.MODEL_CONTEXT_WINDOW_EXCEEDED))})"

FACTS: Final = (
    Fact("requests", "count(*)", per_user=True),
    Fact("errors", f"count(*) FILTER (WHERE outcome IN ({_listed(FAILED)}))", per_user=True),
    Fact("cancelled", f"count(*) FILTER (WHERE outcome = {Outcome.CANCELLED:d})", per_user=True),
    Fact("degraded", f"count(*) FILTER (WHERE outcome = {Outcome.DEGRADED:d})"),
    Fact("unpriced", "count(*) FILTER (WHERE cost_nanousd IS NULL)", per_user=True),
    Fact("retries", "coalesce(sum(greatest(attempts - 1, 0)), 0)"),
    Fact("truncated", f"count(*) FILTER (WHERE {_CUT_OFF} OR error = {ErrorCategory.TRUNCATED:d})"),
    Fact(
        "refused",
        f"count(*) FILTER (WHERE stop_reason = {StopReason.REFUSAL:d} OR error = {ErrorCategory.REFUSAL:d})",
    ),
    Fact("input_tokens", "coalesce(sum(input_tokens), 0)", per_user=True),
    Fact("output_tokens", "coalesce(sum(output_tokens), 0)", per_user=True),
    Fact("cache_read_tokens", "coalesce(sum(cache_read_tokens), 0)", per_user=True),
    Fact("cache_write_5m_tokens", "coalesce(sum(cache_write_5m_tokens), 0)", per_user=True),
    Fact("cache_write_1h_tokens", "coalesce(sum(cache_write_1h_tokens), 0)", per_user=True),
    Fact("cost_nanousd", money("cost_nanousd"), per_user=True),
    Fact("infra_nanousd", money("infra_nanousd"), per_user=True),
    Fact("queue_ms", "coalesce(sum(queue_ms), 0)"),
    Fact("latency_ms", f"coalesce(sum(duration_ms) FILTER (WHERE {_ANSWERED}), 0)"),
)

# Latency is a property of answers: a call refused at once would flatter it, one that timed out is counted as an error.
HISTOGRAMS: Final = (
    Histogram(
        "latency",
        f"CASE WHEN {_ANSWERED} THEN latency_bucket END",
        (50, 95, 99),
        calls="requests - errors - cancelled",
    ),
    Histogram(
        "ttft",
        f"CASE WHEN {_ANSWERED} THEN ttft_bucket END",
        (50, 95),
        calls="(SELECT coalesce(sum(calls), 0) FROM unnest(ttft_counts) AS calls)",
    ),
)

FACT_NAMES: Final = frozenset(fact.name for fact in FACTS)
PERCENTILES: Final = frozenset(name for histogram in HISTOGRAMS for name in histogram.columns)
USER_FACTS: Final = tuple(fact for fact in FACTS if fact.per_user)
