"""What the page of one call shows: its facts, its attempts in time, and where its cost comes from."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from dashboard.search import Call
from ingest.models import Price
from ingest.pricebook import rate_of
from ingest.pricing import Columns, Rate, Usage
from ingest.usage import UsageError, recall
from ingest.vocabulary import Flag, Source, StopReason
from metrics import units

_CLASSES: Final = (
    ("input", "input_tokens", "Input"),
    ("cache_read", "cache_read_tokens", "Cache read"),
    ("cache_write_5m", "cache_write_5m_tokens", "Cache write, 5 min"),
    ("cache_write_1h", "cache_write_1h_tokens", "Cache write, 1 h"),
    ("output", "output_tokens", "Output"),
)
_FLAG_WORDS: Final = {
    Flag.STREAM: "streamed",
    Flag.USAGE_ESTIMATED: "the stream broke off: output tokens are an estimate",
    Flag.USAGE_UNKNOWN: "may have been billed, nobody knows for how much",
    Flag.SANITIZED: "characters that cannot be stored were replaced",
    Flag.RESTAMPED: "the client's clock was ahead; the time of receipt is shown",
    Flag.BATCH: "batch",
    Flag.FAST: "fast mode",
    Flag.US_ONLY: "US only",
    Flag.PRIORITY: "priority tier: paid for by a commitment",
}


_INSTEAD: Final = {
    Source.CACHE: "; an earlier answer was given again.",
    Source.STALE_CACHE: "; an earlier answer was given again, past its time.",
    Source.RULE: "; a rule of the application answered instead.",
    Source.DEFERRED: "; the call was put off until later.",
    Source.NOTICE: "; a notice was given instead of an answer.",
}
# Of a budget; from here on it is shown in yellow.
_NEARLY: Final = Fraction(4, 5)


@dataclass(frozen=True, slots=True)
class CostLine:
    """One token class: how many, at what price each, and what that makes, in nano-dollars."""

    label: str
    number: int
    per_million: str
    nanousd: Decimal


@dataclass(frozen=True, slots=True)
class Bill:
    """Where a cost comes from. `explained` says whether the lines make up the stored cost."""

    lines: Sequence[CostLine]
    total_nanousd: int | None
    rate: str
    price_id: int | None
    factors: Sequence[str]
    explained: bool
    infra_nanousd: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt on the time line of a call, in thousandths of its whole length."""

    number: int
    x: int
    width: int
    start_ms: int | None
    duration_ms: int | None
    is_ok: bool
    words: str
    request_id: str
    model: str
    key: str


@dataclass(frozen=True, slots=True)
class Spent:
    """What was left of a budget of the client after the call; `share` in whole percent, at most 100."""

    words: str
    share: int
    tone: str


def facts(call: Call) -> list[tuple[str, str]]:
    """Return what is known of a call beside its cost, as label and words; what is unknown is left out."""
    row, detail = call.row, call.row.detail or {}
    stop = "" if row.stop_reason is None else StopReason(row.stop_reason).name.lower()
    source = Source(row.source)
    found = [
        ("Took", units.duration(row.duration_ms)),
        ("First token after", "" if row.ttft_ms is None else units.duration(row.ttft_ms)),
        ("Stopped because of", stop.replace("_", " ")),
        ("Answered by", "" if source is Source.API else source.name.lower().replace("_", " ")),
        ("HTTP status", "" if row.http_status is None else str(row.http_status)),
        ("Application", f"{call.app} {call.release}".strip()),
        ("SDK", call.sdk),
        ("Operation", str(detail.get("operation", ""))),
        ("Provider's request id", row.request_id or ""),
        ("Id", str(row.pk)),
    ]
    return [(label, words) for label, words in found if words != ""]


def flags(call: Call) -> list[str]:
    return [words for flag, words in _FLAG_WORDS.items() if call.row.flags & flag]


def limits(call: Call) -> list[tuple[str, int, int]]:
    """Return the provider's limits after this call, as label, remaining and limit."""
    row = call.row
    known = (
        ("Requests", row.requests_remaining, row.requests_limit),
        ("Input tokens", row.input_remaining, row.input_limit),
        ("Output tokens", row.output_remaining, row.output_limit),
    )
    return [(label, left, limit) for label, left, limit in known if left is not None and limit is not None]


def hidden(call: Call) -> str:
    """Return what the fallback spared the caller, in a sentence; nothing when there was none."""
    category = str((call.row.detail or {}).get("fallback_from", "")).replace("_", " ")
    if category == "":
        return ""
    source = Source(call.row.source)
    if source is Source.MODEL_FALLBACK:
        asked = call.requested_model or "The model asked for"
        return f"{asked} could not answer ({category}), {call.model or 'another model'} did instead."
    return f"Claude could not answer ({category}){_INSTEAD.get(source, '; the caller was spared the failure.')}"


def budget(call: Call) -> Spent | None:
    """Return the client's budget nearest to its end, as it was after the call."""
    told = (call.row.detail or {}).get("budget")
    if told is None:
        return None
    key, spent, limit = told["key"], told["spent"], told["limit"]
    write = units.money if told["unit"] == "nanousd" else units.tokens
    unit = "" if told["unit"] == "nanousd" else " tokens"
    ratio = Fraction(spent, limit) if limit > 0 else Fraction(1)
    tone = "bad" if ratio >= 1 else "warn" if ratio >= _NEARLY else "good"
    words = f"{key}: {write(spent)} of {write(limit)}{unit} spent, {units.ratio(ratio)}"
    return Spent(words, min(int(ratio * 100), 100), tone)


def hashes(call: Call) -> list[tuple[str, str]]:
    """Return the kept halves of the digests of request and response, in hexadecimal."""
    kept = bytes(call.row.hashes or b"")
    halves = (("Hash of the request", kept[:16]), ("Hash of the response", kept[16:]))
    return [(label, half.hex()) for label, half in halves if any(half)]


def parameters(call: Call) -> list[tuple[str, str]]:
    """Return parameters and tags of the call, as written by the client."""
    detail = call.row.detail or {}
    pairs = {**detail.get("params", {}), **{f"tag {key}": value for key, value in detail.get("tags", {}).items()}}
    return [(key.replace("_", " "), str(value)) for key, value in pairs.items()]


def redactions(call: Call) -> str:
    """Return what was removed from the body before it left the application, in words."""
    counts: dict[str, Any] = (call.row.detail or {}).get("redactions", {})
    return ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in counts.items())


def attempts(call: Call) -> list[Bar]:
    """Return the attempts as bars. A call that worked at once keeps no list: then it is one bar."""
    row = call.row
    listed = (row.detail or {}).get("attempts") or [
        {"n": 1, "start_ms": row.queue_ms or 0, "duration_ms": row.duration_ms - (row.queue_ms or 0)}
        | {"key_alias": call.key}
        | {"status": row.http_status, "category": call.error or None, "request_id": row.request_id}
    ]
    whole = max(row.duration_ms, 1)
    bars = []
    for place, attempt in enumerate(listed, start=1):
        start, length = attempt.get("start_ms"), attempt.get("duration_ms")
        x = min(1000 * (start or 0) // whole, 1000)
        width = max(min(1000 * (length or 0) // whole, 1000 - x), 4)
        category = attempt.get("category")
        bars.append(
            Bar(
                number=attempt.get("n") or place,
                x=min(x, 996),
                width=width,
                start_ms=start,
                duration_ms=length,
                is_ok=not category,
                words=_outcome(attempt, category),
                request_id=attempt.get("request_id") or "",
                model=attempt.get("model") or "",
                key=attempt.get("key_alias") or "",
            )
        )
    return bars


def _outcome(attempt: dict[str, Any], category: str | None) -> str:
    words = [category.replace("_", " ") if category else "answered"]
    if (status := attempt.get("status")) is not None:
        words.append(f"HTTP {status}")
    if (wait := attempt.get("wait_ms")) is not None and wait > 0:
        words.append(f"waited {units.duration(wait)} before")
    return ", ".join(words)


def bill(call: Call) -> Bill:
    """Return the cost of a call line by line, at the price row it was priced with."""
    row = call.row
    price = None if row.price_id is None else Price.objects.filter(pk=row.price_id).first()
    if price is None:
        return Bill((), row.cost_nanousd, "", None, (), row.cost_nanousd is not None, row.infra_nanousd)
    rate = rate_of(price)
    columns, is_long = _columns(rate, call)
    factor, words = _factor(price, call)
    lines = [
        CostLine(label, number, _per_million(getattr(columns, column)), number * getattr(columns, column) * factor)
        for column, attribute, label in _CLASSES
        if (number := getattr(row, attribute)) != 0
    ]
    if row.web_searches != 0:
        each = Decimal(rate.web_search)
        lines.append(CostLine("Web search", row.web_searches, units.money(rate.web_search), row.web_searches * each))
    if is_long and rate.long_threshold is not None:
        words.insert(0, f"more than {units.tokens(rate.long_threshold)} tokens in: the long-prompt price")
    explained = row.cost_nanousd is not None and rate.cost(_usage(call)) == row.cost_nanousd
    return Bill(lines, row.cost_nanousd, str(price), price.pk, words, explained, row.infra_nanousd)


def _columns(rate: Rate, call: Call) -> tuple[Columns, bool]:
    is_long = rate.long_threshold is not None and call.total_input > rate.long_threshold
    return (rate.long, True) if is_long and rate.long is not None else (rate.short, False)


def _factor(price: Price, call: Call) -> tuple[Decimal, list[str]]:
    """Return what token prices are multiplied by, and why. A batch has no fast mode."""
    flags_, factor, words = call.row.flags, Decimal(1), []
    if flags_ & Flag.PRIORITY:
        return Decimal(0), ["priority tier: tokens are paid for by a commitment"]
    if flags_ & Flag.BATCH:
        factor, words = price.batch_multiplier, [f"batch: × {price.batch_multiplier.normalize():f}"]
    elif flags_ & Flag.FAST and price.fast_multiplier is not None:
        factor, words = price.fast_multiplier, [f"fast mode: × {price.fast_multiplier.normalize():f}"]
    if flags_ & Flag.US_ONLY:
        factor *= price.us_multiplier
        words.append(f"US only: × {price.us_multiplier.normalize():f}")
    return factor, words


def _usage(call: Call) -> Usage:
    row = call.row
    usage = Usage(
        row.input_tokens,
        row.output_tokens,
        row.cache_read_tokens,
        row.cache_write_5m_tokens,
        row.cache_write_1h_tokens,
        row.web_searches,
        bool(row.flags & Flag.BATCH),
        bool(row.flags & Flag.FAST),
        bool(row.flags & Flag.US_ONLY),
        bool(row.flags & Flag.PRIORITY),
    )
    iterations = ((row.detail or {}).get("usage") or {}).get("iterations")
    try:
        return usage if iterations is None else recall(usage, iterations)
    except UsageError:
        # Stored by an older version; the lines are then said not to explain the cost.
        return usage


def _per_million(nanousd_per_token: int) -> str:
    dollars = Decimal(nanousd_per_token) / 1000
    digits = max(2, -int(dollars.normalize().as_tuple().exponent))
    return f"${dollars:.{digits}f} / M"
