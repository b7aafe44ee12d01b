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

    @property
    def cost(self) -> int | None:
        """Nano-dollars; None when the price or the usage is unknown."""
        if self.outcome in {"error", "rejected", "cancelled"}:
            return 0 if self.usage_known else None
        if self.model not in PRICES:
            return None
        return sum(count * price for count, price in zip(self.tokens, PRICES[self.model], strict=True))

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


def _percentile(of: Callable[[Call], int | None], percent: int) -> Callable[[Sequence[Call]], tuple[Value, int]]:
    def percentile(calls: Sequence[Call]) -> tuple[Value, int]:
        seen = [value for call in calls if call.is_answered and (value := of(call)) is not None]
        exact = nearest_rank(seen, percent)
        return None if exact is None else middle_of(bucket_of(exact)), len(seen)

    return percentile


def _failed(call: Call) -> bool:
    return call.outcome in {"error", "rejected"}


def _cost_per_request(calls: Sequence[Call]) -> tuple[Value, int]:
    costs = [call.cost for call in calls if call.cost is not None]
    return ratio(sum(costs), len(costs)), len(costs)


def _cache_hit_rate(calls: Sequence[Call]) -> tuple[Value, int]:
    read = sum(call.tokens[2] for call in calls)
    return ratio(read, sum(sum(call.tokens) - call.tokens[1] for call in calls)), len(calls)


def _queue_wait(calls: Sequence[Call]) -> tuple[Value, int]:
    return ratio(sum(call.queue_ms or 0 for call in calls), len(calls)), len(calls)


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
    "cache_hit_rate": _cache_hit_rate,
    "latency_p50": _percentile(lambda call: call.duration_ms, 50),
    "latency_p95": _percentile(lambda call: call.duration_ms, 95),
    "latency_p99": _percentile(lambda call: call.duration_ms, 99),
    "ttft_p50": _percentile(lambda call: call.ttft_ms, 50),
    "ttft_p95": _percentile(lambda call: call.ttft_ms, 95),
    "retries": _sum(lambda call: max(call.attempts - 1, 0)),
    "queue_wait": _queue_wait,
    "unpriced": _count(lambda call: call.cost is None),
    "truncated": _count(lambda call: call.stop_reason == "max_tokens" or call.error == "truncated"),
    "refused": _count(lambda call: call.stop_reason == "refusal" or call.error == "refusal"),
    "fully_loaded_cost": _sum(lambda call: (call.cost or 0) + call.infra_nanousd),
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
