"""Facts: what every rollup row knows of its calls, and how each is counted from them.

Only what can be merged is kept: sums, and counts per histogram bucket. The same entries write the rollups and read
them, so a fact cannot mean one thing in a minute and another in a day.
"""

from dataclasses import dataclass
from typing import Final

from ingest.vocabulary import ANSWERED, FAILED, ErrorCategory, Flag, Outcome, Source, StopReason


def _listed(words: tuple[int, ...]) -> str:
    return ", ".join(str(int(word)) for word in words)


@dataclass(frozen=True, slots=True)
class Fact:
    """One column of the rollups. `of_calls` is its SQL over single calls, or scores; rows of it merge by sum."""

    name: str
    of_calls: str
    per_user: bool = False
    """Kept in user_day and user_month too."""
    at_list_price: bool = False
    """`of_calls` names columns of the price of each call: it can only be read of CALLS_AND_PRICES."""


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


def money(column: str, *, where: str = "TRUE") -> str:
    """Return SQL for a sum of money over some rows that stays within its column; below nothing, too."""
    return _within_column(f"sum({column}) FILTER (WHERE {where})" if where != "TRUE" else f"sum({column})")


def _within_column(total: str) -> str:
    return f"greatest(least(coalesce({total}, 0), {MOST_MONEY}), -{MOST_MONEY})"


# Each call beside the price it was charged at; the columns are NULL where it has none.
CALLS_AND_PRICES: Final = """request_log LEFT JOIN (
       SELECT id AS price_id, cache_read - input AS cache_read_over_input,
              cache_write_5m - input AS cache_write_5m_over_input, cache_write_1h - input AS cache_write_1h_over_input
         FROM ingest_price) AS price USING (price_id)"""

_ANSWERED = f"outcome IN ({_listed(ANSWERED)})"
_NOT_ANSWERED = f"outcome IN ({_listed((*FAILED, Outcome.CANCELLED))})"
_SENT = f"source IN ({_listed((Source.API, Source.MODEL_FALLBACK))})"
_CUT_OFF = f"stop_reason IN ({_listed((StopReason.MAX_TOKENS, StopReason.MODEL_CONTEXT_WINDOW_EXCEEDED))})"
_TRUNCATED = f"({_CUT_OFF} OR error = {ErrorCategory.TRUNCATED:d})"

# What the provider's prompt cache changed in the bill: each token it was involved in would have been a plain input
# token. Exact sums of numbers of any size, because a price typed in wrongly must not stop the counting.
_CACHE_SAVED = "".join(
    f" - coalesce(sum({kind}_tokens::numeric * {kind}_over_input) FILTER (WHERE {kind}_tokens > 0), 0)"
    for kind in ("cache_read", "cache_write_5m", "cache_write_1h")
)

FACTS: Final = (
    Fact("requests", "count(*)", per_user=True),
    Fact("errors", f"count(*) FILTER (WHERE outcome IN ({_listed(FAILED)}))", per_user=True),
    Fact("cancelled", f"count(*) FILTER (WHERE outcome = {Outcome.CANCELLED:d})", per_user=True),
    Fact("degraded", f"count(*) FILTER (WHERE outcome = {Outcome.DEGRADED:d})"),
    Fact("unpriced", "count(*) FILTER (WHERE cost_nanousd IS NULL)", per_user=True),
    Fact("retries", "coalesce(sum(greatest(attempts - 1, 0)), 0)"),
    Fact("truncated", f"count(*) FILTER (WHERE {_TRUNCATED})"),
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
    Fact("attempts", "coalesce(sum(attempts), 0)"),
    Fact("answered_sent", f"count(*) FILTER (WHERE {_ANSWERED} AND {_SENT})"),
    Fact("retried", "count(*) FILTER (WHERE attempts > 1)"),
    Fact("streamed", f"count(*) FILTER (WHERE flags & {Flag.STREAM:d} <> 0)"),
    Fact("cache_answers", f"count(*) FILTER (WHERE source = {Source.CACHE:d})"),
    Fact("fallbacks", f"count(*) FILTER (WHERE source NOT IN ({_listed((Source.API, Source.CACHE))}))"),
    Fact("validated", "count(*) FILTER (WHERE valid IS NOT NULL)"),
    Fact("invalid", "count(*) FILTER (WHERE valid = 0)"),
    Fact("repaired", "count(*) FILTER (WHERE repairs > 0)"),
    Fact("repairs", "coalesce(sum(repairs), 0)"),
    # What was paid for nothing, each call under its first reason only, so that the three add up.
    Fact("failed_nanousd", money("cost_nanousd", where=_NOT_ANSWERED), per_user=True),
    Fact("truncated_nanousd", money("cost_nanousd", where=f"{_ANSWERED} AND {_TRUNCATED}"), per_user=True),
    Fact(
        "invalid_nanousd",
        money("cost_nanousd", where=f"{_ANSWERED} AND {_TRUNCATED} IS NOT TRUE AND valid = 0"),
        per_user=True,
    ),
    # An estimate: at the plain list price, without long-prompt rates and the factors for batch, fast mode and region.
    Fact("cache_saved_nanousd", _within_column(f"0{_CACHE_SAVED}"), per_user=True, at_list_price=True),
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

# Of scores, each beside its call (`metrics.score_sql`). Numbers are told as floats; added up as the decimals that stand
# for them, their sum does not depend on the order.
SCORE_FACTS: Final = (
    Fact("scores", "count(*)"),
    Fact("score_numbers", "count(value)"),
    Fact("score_total", "coalesce(sum(value::text::numeric), 0)"),
)

FACT_NAMES: Final = frozenset(fact.name for fact in FACTS)
SCORE_FACT_NAMES: Final = frozenset(fact.name for fact in SCORE_FACTS)
# Not rolled up: clients tell the changes of their breakers (`metrics.breaker_time`).
BREAKER_FACT_NAMES: Final = frozenset({"breaker_open_ms", "breakers"})
PERCENTILES: Final = frozenset(name for histogram in HISTOGRAMS for name in histogram.columns)
USER_FACTS: Final = tuple(fact for fact in FACTS if fact.per_user)
