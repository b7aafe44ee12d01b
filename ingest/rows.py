"""A call as one row of PostgreSQL's binary COPY format.

Rows are packed by hand because this is the hot path: the columns that are always there go through one precompiled
struct, the others in groups that are nearly always present or absent together. Column order here is the order of the
COPY statement, not of the table.
"""

from datetime import datetime, timedelta
from hashlib import blake2b
from struct import Struct
from typing import Final
from uuid import UUID

from ingest import detail, names
from ingest.charge import Charge
from ingest.events import Event, Hashes, Limits, Quality, canonical
from ingest.histogram import bucket_of
from ingest.partitions import EPOCH
from ingest.vocabulary import ErrorCategory, Flag, Outcome, Source, StopReason

_ALWAYS: Final = (
    *("id", "started_at", "received_at", "infra_nanousd", "digest", *names.COLUMNS),
    *("flags", "duration_ms", "input_tokens", "output_tokens", "cache_read_tokens"),
    *("cache_write_5m_tokens", "cache_write_1h_tokens"),
    *("outcome", "error", "source", "attempts", "latency_bucket", "web_searches"),
)
_SOMETIMES: Final = (
    *("cost_nanousd", "price_id", "ttft_ms", "ttft_bucket", "queue_ms", "http_status", "stop_reason"),
    *("trace_id", "span_id"),
    *("requests_limit", "requests_remaining", "input_limit", "input_remaining", "output_limit", "output_remaining"),
    *("user_id", "session_id", "request_id", "error_message", "detail", "valid", "repairs", "hashes"),
    "failure_group_id",
)
COLUMNS: Final = ", ".join(_ALWAYS + _SOMETIMES)

HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER: Final = b"\xff\xff"

# Field count, then a length before every value: uuid, 3 bigint, the digest, the names, 7 int, 6 smallint.
_pack_always: Final = Struct(f"!hi16s{'iq' * 3}i8s{names.PACKED_SIZE}s{'ii' * 7}{'ih' * 6}").pack
_FIELDS: Final = len(_ALWAYS) + len(_SOMETIMES)
# cost_nanousd to stop_reason, when the call was answered and nothing of it is unknown.
_pack_answered: Final = Struct("!iqiiiiihiiihih").pack
_pack_2: Final = Struct("!ih").pack
_pack_quality: Final = Struct("!ihih").pack
_pack_4: Final = Struct("!ii").pack
_pack_8: Final = Struct("!iq").pack
_pack_limits: Final = Struct("!" + "ii" * 6).pack
_pack_body: Final = Struct("!hi16siiihi").pack
_pack_length: Final = Struct("!i").pack
# Nearly every text is short, and a lookup is faster than packing.
_LENGTHS: Final = tuple(_pack_length(length) for length in range(256))
_NULL: Final = b"\xff\xff\xff\xff"
_NO_TRACE: Final = _NULL * 2
_NO_LIMITS: Final = _NULL * 6
_NO_QUALITY: Final = _NULL * 2
_NOT_HASHED: Final = bytes(16)
# Copying one is quicker than making one.
_NOTHING_DIGESTED: Final = blake2b(digest_size=8)
_JSONB_VERSION: Final = b"\x01"

# PostgreSQL counts microseconds from 2000.
_POSTGRES_EPOCH_US: Final = 946_684_800_000_000
_MICROSECOND: Final = timedelta(microseconds=1)

_OUTCOMES: Final = {outcome.name.lower(): outcome.value for outcome in Outcome}
_SOURCES: Final = {source.name.lower(): source.value for source in Source}
_CATEGORIES: Final = {category.name.lower(): category.value for category in ErrorCategory}
_STOP_REASONS: Final = {reason.name.lower(): reason.value for reason in StopReason}
_NO_ERROR, _UNNAMED, _CANCELLED = ErrorCategory.NONE.value, ErrorCategory.OTHER.value, ErrorCategory.CANCELLED.value
_OTHER_STOP: Final = StopReason.OTHER.value
_STREAM, _SANITIZED, _HAS_BODY = Flag.STREAM.value, Flag.SANITIZED.value, Flag.HAS_BODY.value
FAILED: Final = frozenset({"error", "rejected"})
"""The words of `vocabulary.FAILED`."""
_SENT: Final = frozenset({"api", "model_fallback"})


def micros(at: datetime) -> int:
    """A time as PostgreSQL's binary formats carry it."""
    return (at - EPOCH) // _MICROSECOND - _POSTGRES_EPOCH_US


def digest_of(event: Event) -> bytes:
    """Tells a repeated event from another one with the same id: 8 bytes for its content in one fixed notation."""
    digest = _NOTHING_DIGESTED.copy()
    digest.update(canonical(event))
    return digest.digest()


def encode(
    event: Event,
    digest: bytes,
    cost: Charge,
    packed_names: bytes,
    *,
    received_us: int,
    infra_nanousd: int,
    has_body: bool,
    failure_group: int | None,
) -> bytes:
    """One row. `started_at` is the time in the id, to the millisecond, so that ranges of ids and of times agree."""
    usage, flags = cost.usage, cost.flags
    call_id = event.id.int
    duration_ms = event.duration_ms
    if event.stream:
        flags |= _STREAM
    if has_body:
        flags |= _HAS_BODY
    if event.sanitized:
        flags |= _SANITIZED
    always = _pack_always(
        _FIELDS, 16, call_id.to_bytes(16),
        8, (call_id >> 80) * 1000 - _POSTGRES_EPOCH_US, 8, received_us, 8, infra_nanousd, 8, digest, packed_names,
        4, flags, 4, duration_ms, 4, usage.input_tokens, 4, usage.output_tokens, 4, usage.cache_read_tokens,
        4, usage.cache_write_5m_tokens, 4, usage.cache_write_1h_tokens,
        2, _OUTCOMES[event.outcome], 2, error_of(event), 2, _SOURCES[event.source],
        2, len(event.attempts) or _unlisted_attempts(event), 2, bucket_of(duration_ms), 2, usage.web_searches,
    )  # fmt: skip
    error, limits, kept = event.error, event.limits, detail.encode(event)
    trace_id, span_id, quality, hashes = event.trace_id, event.span_id, event.quality, event.hashes
    return b"".join((
        always,
        _ending(event, cost.nanousd, cost.price_id),
        _NO_TRACE if trace_id is None and span_id is None else _trace(trace_id, span_id),
        _NO_LIMITS if limits is None else _limits(limits),
        _text(event.user_id), _text(event.session_id), _text(event.request_id),
        _NULL if error is None else _text(error.message),
        _NULL if kept is None else _pack_length(len(kept) + 1) + _JSONB_VERSION + kept,
        _NO_QUALITY if quality is None else _quality(quality),
        _NULL if hashes is None else _hashes(hashes),
        _int4(failure_group),
    ))  # fmt: skip


def encode_body(call_id: UUID, project_id: int, dictionary_id: int, body: bytes) -> bytes:
    """One row of request_body (id, project_id, dictionary_id, body)."""
    return _pack_body(4, 16, call_id.bytes, 4, project_id, 2, dictionary_id, len(body)) + body


def error_of(event: Event) -> int:
    """The category of why the call failed, as stored."""
    error = event.error
    if error is not None and error.category is not None:
        return _CATEGORIES.get(error.category, _UNNAMED)
    if event.outcome in FAILED:
        return _UNNAMED
    return _CANCELLED if event.outcome == "cancelled" else _NO_ERROR


def _unlisted_attempts(event: Event) -> int:
    """Attempts of a call that lists none: one when it went out, none when it never left the process."""
    return 1 if event.source in _SENT and event.outcome != "rejected" else 0


def _ending(event: Event, nanousd: int | None, price_id: int | None) -> bytes:
    """What the call cost and how it ended: cost_nanousd, price_id, ttft_ms and its bucket, queue_ms, http, stop."""
    ttft_ms, queue_ms, stop = event.ttft_ms, event.queue_ms, event.stop_reason
    error, attempts = event.error, event.attempts
    status = error.status if error is not None else attempts[-1].status if attempts else None
    reason = None if stop is None else _STOP_REASONS.get(stop, _OTHER_STOP)
    if not (
        nanousd is None or price_id is None or ttft_ms is None or queue_ms is None or status is None or reason is None
    ):
        bucket = bucket_of(ttft_ms)
        return _pack_answered(8, nanousd, 4, price_id, 4, ttft_ms, 2, bucket, 4, queue_ms, 2, status, 2, reason)
    return b"".join((
        _NULL if nanousd is None else _pack_8(8, nanousd),
        _int4(price_id),
        _int4(ttft_ms),
        _int2(None if ttft_ms is None else bucket_of(ttft_ms)),
        _int4(queue_ms),
        _int2(status),
        _int2(reason),
    ))  # fmt: skip


def _trace(trace_id: str | None, span_id: str | None) -> bytes:
    trace = _NULL if trace_id is None else _LENGTHS[16] + bytes.fromhex(trace_id)
    return trace + (_NULL if span_id is None else _LENGTHS[8] + bytes.fromhex(span_id))


def _limits(limits: Limits) -> bytes:
    one, two, three = limits.requests_limit, limits.requests_remaining, limits.input_limit
    four, five, six = limits.input_remaining, limits.output_limit, limits.output_remaining
    if one is None or two is None or three is None or four is None or five is None or six is None:
        return b"".join(map(_int4, (one, two, three, four, five, six)))
    return _pack_limits(4, one, 4, two, 4, three, 4, four, 4, five, 4, six)


def _quality(quality: Quality) -> bytes:
    valid, repairs = quality.valid, quality.repairs
    if valid is None or repairs is None:
        return _int2(valid) + _int2(repairs)
    return _pack_quality(2, valid, 2, repairs)


def _hashes(hashes: Hashes) -> bytes:
    """The first half of each digest; nought for one that is missing, and NULL when both are."""
    asked, answered = hashes.input, hashes.output
    if asked is None and answered is None:
        return _NULL
    return b"".join((
        _LENGTHS[32],
        _NOT_HASHED if asked is None else bytes.fromhex(asked[:32]),
        _NOT_HASHED if answered is None else bytes.fromhex(answered[:32]),
    ))  # fmt: skip


def _int4(value: int | None) -> bytes:
    return _NULL if value is None else _pack_4(4, value)


def _int2(value: int | None) -> bytes:
    return _NULL if value is None else _pack_2(2, value)


def _text(value: str | None) -> bytes:
    if value is None:
        return _NULL
    encoded = value.encode()
    length = len(encoded)
    return (_LENGTHS[length] if length < 256 else _pack_length(length)) + encoded
