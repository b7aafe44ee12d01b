"""What every answer must be, in plain Python over plain calls: no SQL, no rollups, only the histogram is ours."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction

from ingest.histogram import bucket_of, middle_of
from metrics.readings import Value
from metrics.slices import Slice
from metrics.windows import Window

# Nano-dollars per token: input, output, cache read, cache write 5 minutes and 1 hour.
PRICES = {
    "claude-sonnet-4-5-20250929": (3000, 15_000, 300, 3750, 6000),
    "claude-haiku-4-5-20251001": (1000, 5000, 100, 1250, 2000),
}


@dataclass(frozen=True)
class Call:
    """One call as the application made it. Empty strings: it did not say."""

    id: str
    project_id: int
    at: datetime
    environment: str
    feature: str
    prompt_type: str
    prompt_version: str
    model: str
    user_id: str
    outcome: str
    error: str
    stop_reason: str
    attempts: int
    duration_ms: int
    ttft_ms: int | None
    queue_ms: int | None
    tokens: tuple[int, ...]
    """Input, output, cache read, cache write 5 minutes and 1 hour."""
    usage_known: bool
    infra_nanousd: int
    release: str = ""
    key: str = ""
    stream: bool = False
    source: str = "api"
    valid: bool | None = None
    repairs: int | None = None
    is_billed: bool = False
    """The client knows what it used: it sends the counts, also of a call that ended without an answer."""
    asked: str = ""
    """The model that was asked for, where another one answered."""
    message: str = ""
    """What the provider, or the client, said of a failure."""
    tried: tuple[str, ...] = ()
    """How the first attempts ended, by category; those after them ended as the call did."""
    headers: tuple[int, ...] = ()
    """Limit and remainder of requests, input and output tokens, as the headers of the answer told them."""

    @property
    def cost(self) -> int | None:
        """Nano-dollars; None when the price or the usage is unknown."""
        if self.source in {"cache", "stale_cache", "rule", "deferred", "notice"}:
            return 0
        if not self.is_billed:
            return 0 if self.usage_known else None
        if self.model not in PRICES:
            return None
        return sum(count * price for count, price in zip(self.tokens, PRICES[self.model], strict=True))

    @property
    def cache_saved(self) -> int:
        """Nano-dollars: what the tokens of the prompt cache would have cost as plain input, less what they cost."""
        if self.model not in PRICES or not self.cost:
            return 0
        plain, *cached = (PRICES[self.model][place] for place in (0, 2, 3, 4))
        return sum(count * (plain - price) for count, price in zip(self.tokens[2:], cached, strict=True))

    @property
    def is_truncated(self) -> bool:
        return self.stop_reason == "max_tokens" or self.error == "truncated"

    @property
    def wasted(self) -> str:
        """Why its cost was for nothing; empty when it was not."""
        if not self.is_answered:
            return "failed"
        return "truncated" if self.is_truncated else "invalid" if self.valid is False else ""

    @property
    def is_answered(self) -> bool:
        return self.outcome in {"ok", "degraded"}


def pick(calls: Iterable[Call], window: Window, slice_: Slice) -> list[Call]:
    """The calls that a slice and a window mean."""
    found = [call for call in calls if call.project_id == slice_.project_id and window.start <= call.at < window.end]
    for dimension, wanted in slice_.filters.items():
        found = [call for call in found if (getattr(call, dimension) or "(none)") == wanted]
    return found


def measure(metric: str, calls: Sequence[Call]) -> tuple[Value, int]:
    """The value of a metric, and the number of calls it rests on."""
    return _MEASURES[metric](calls)


def ratio(part: int, whole: int) -> Decimal | None:
    return None if whole == 0 else Context(prec=28).divide(part, whole)


def nearest_rank(values: Sequence[int], percent: int) -> int | None:
    """The smallest value that at least that percentage of the values does not exceed."""
    if not values:
        return None
    rank = Fraction(percent * len(values), 100)
    return sorted(values)[max(0, -int(-rank // 1) - 1)]


def _count(wanted: Callable[[Call], bool]) -> Callable[[Sequence[Call]], tuple[Value, int]]:
    return lambda calls: (sum(1 for call in calls if wanted(call)), len(calls))


def _sum(of: Callable[[Call], int]) -> Callable[[Sequence[Call]], tuple[Value, int]]:
    return lambda calls: (sum(of(call) for call in calls), len(calls))


def _share(wanted: Callable[[Call], bool]) -> Callable[[Sequence[Call]], tuple[Value, int]]:
    def share(calls: Sequence[Call]) -> tuple[Value, int]:
        finished = [call for call in calls if call.outcome != "cancelled"]
        return ratio(sum(1 for call in finished if wanted(call)), len(finished)), len(finished)

    return share


def _of_all(wanted: Callable[[Call], bool]) -> Callable[[Sequence[Call]], tuple[Value, int]]:
    return lambda calls: (ratio(sum(1 for call in calls if wanted(call)), len(calls)), len(calls))


def _waste(*reasons: str) -> Callable[[Sequence[Call]], tuple[Value, int]]:
    return _sum(lambda call: (call.cost or 0) if call.wasted in reasons else 0)


def _percentile(of: Callable[[Call], int | None], percent: int) -> Callable[[Sequence[Call]], tuple[Value, int]]:
    def percentile(calls: Sequence[Call]) -> tuple[Value, int]:
        seen = [value for call in calls if call.is_answered and (value := of(call)) is not None]
        exact = nearest_rank(seen, percent)
        return None if exact is None else middle_of(bucket_of(exact)), len(seen)

    return percentile


def _failed(call: Call) -> bool:
    return call.outcome in {"error", "rejected"}


def _refused(call: Call) -> bool:
    return call.stop_reason == "refusal" or call.error == "refusal"


def _cost_per_request(calls: Sequence[Call]) -> tuple[Value, int]:
    costs = [call.cost for call in calls if call.cost is not None]
    return ratio(sum(costs), len(costs)), len(costs)


def _cache_hit_rate(calls: Sequence[Call]) -> tuple[Value, int]:
    read = sum(call.tokens[2] for call in calls)
    return ratio(read, sum(sum(call.tokens) - call.tokens[1] for call in calls)), len(calls)


def _queue_wait(calls: Sequence[Call]) -> tuple[Value, int]:
    return ratio(sum(call.queue_ms or 0 for call in calls), len(calls)), len(calls)


def _attempt_error_rate(calls: Sequence[Call]) -> tuple[Value, int]:
    attempts = sum(call.attempts for call in calls)
    brought = sum(1 for call in calls if call.is_answered and call.source in {"api", "model_fallback"})
    return ratio(attempts - brought, attempts), len(calls)


def _valid_rate(calls: Sequence[Call]) -> tuple[Value, int]:
    checked = [call.valid for call in calls if call.valid is not None]
    return ratio(sum(checked), len(checked)), len(checked)


def _cost_per_success(calls: Sequence[Call]) -> tuple[Value, int]:
    answered = sum(1 for call in calls if call.is_answered)
    return ratio(sum(call.cost or 0 for call in calls), answered), answered


def _output_length(calls: Sequence[Call]) -> tuple[Value, int]:
    answered = sum(1 for call in calls if call.is_answered)
    return ratio(sum(call.tokens[1] for call in calls), answered), answered


def _waste_share(calls: Sequence[Call]) -> tuple[Value, int]:
    wasted = sum(call.cost or 0 for call in calls if call.wasted)
    return ratio(wasted, sum(call.cost or 0 for call in calls)), len(calls)


_MEASURES: dict[str, Callable[[Sequence[Call]], tuple[Value, int]]] = {
    "requests": _count(lambda call: True),
    "errors": _count(_failed),
    "error_rate": _share(_failed),
    "success_rate": _share(lambda call: not _failed(call)),
    "cancelled": _count(lambda call: call.outcome == "cancelled"),
    "degraded_rate": _share(lambda call: call.outcome == "degraded"),
    "spend": _sum(lambda call: call.cost or 0),
    "cost_per_request": _cost_per_request,
    "input_tokens": _sum(lambda call: call.tokens[0]),
    "output_tokens": _sum(lambda call: call.tokens[1]),
    "cache_read_tokens": _sum(lambda call: call.tokens[2]),
    "cache_write_tokens": _sum(lambda call: call.tokens[3] + call.tokens[4]),
    "cache_write_5m_tokens": _sum(lambda call: call.tokens[3]),
    "cache_write_1h_tokens": _sum(lambda call: call.tokens[4]),
    "cache_hit_rate": _cache_hit_rate,
    "latency_p50": _percentile(lambda call: call.duration_ms, 50),
    "latency_p95": _percentile(lambda call: call.duration_ms, 95),
    "latency_p99": _percentile(lambda call: call.duration_ms, 99),
    "ttft_p50": _percentile(lambda call: call.ttft_ms, 50),
    "ttft_p95": _percentile(lambda call: call.ttft_ms, 95),
    "retries": _sum(lambda call: max(call.attempts - 1, 0)),
    "queue_wait": _queue_wait,
    "unpriced": _count(lambda call: call.cost is None),
    "truncated": _count(lambda call: call.is_truncated),
    "refused": _count(_refused),
    "fully_loaded_cost": _sum(lambda call: (call.cost or 0) + call.infra_nanousd),
    "tokens": _sum(lambda call: sum(call.tokens)),
    "attempts": _sum(lambda call: call.attempts),
    "attempt_error_rate": _attempt_error_rate,
    "retry_rate": _of_all(lambda call: call.attempts > 1),
    "streamed_share": _of_all(lambda call: call.stream),
    "client_cache_rate": _of_all(lambda call: call.source == "cache"),
    "fallback_rate": _of_all(lambda call: call.source not in {"api", "cache"}),
    "truncation_rate": _share(lambda call: call.is_truncated),
    "refusal_rate": _share(_refused),
    "valid_rate": _valid_rate,
    "repair_rate": _of_all(lambda call: bool(call.repairs)),
    "repairs": _sum(lambda call: call.repairs or 0),
    "cost_per_success": _cost_per_success,
    "output_length": _output_length,
    "cost_of_waste": _waste("failed", "truncated", "invalid"),
    "waste_share": _waste_share,
    "failed_spend": _waste("failed"),
    "truncated_spend": _waste("truncated"),
    "invalid_spend": _waste("invalid"),
    "cache_savings": _sum(lambda call: call.cache_saved),
}
METRICS = tuple(_MEASURES)


def grid(window: Window, step: timedelta) -> list[Window]:
    """The window cut at the multiples of a step since 1970."""
    at = datetime.fromtimestamp(
        window.start.timestamp() // step.total_seconds() * step.total_seconds(), window.start.tzinfo
    )
    cuts = []
    while at < window.end:
        cuts.append(Window(max(at, window.start), min(at + step, window.end)))
        at += step
    return cuts
