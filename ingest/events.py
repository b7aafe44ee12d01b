"""The event of docs/events.md in types: every string, list and number has a limit, unknown fields are ignored.

Unknown fields are those of a client that is newer than the server.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from ingest import salvage
from ingest.usage import Usage, UsageError, read_usage

MOST_REPAIRS: Final = 100
MOST_USAGE_KEYS: Final = 64
MOST_EXTRA_USAGE: Final = 8_192
"""Bytes of JSON that the keys of `usage` which have no column may take."""

Text64 = Annotated[str, Meta(max_length=64)]
Text100 = Annotated[str, Meta(max_length=100)]
Text200 = Annotated[str, Meta(max_length=200)]
Text500 = Annotated[str, Meta(max_length=500)]
Document = Annotated[str, Meta(max_length=4_000_000)]
Int4 = Annotated[int, Meta(ge=0, le=2_147_483_647)]
Int8 = Annotated[int, Meta(ge=0, le=9_223_372_036_854_775_807)]
Status = Annotated[int, Meta(ge=0, le=999)]
Utc = Annotated[datetime, Meta(tz=True)]
Counts = Annotated[dict[Text64, Int8], Meta(max_length=32)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$", max_length=64)]


class Attempt(Struct, frozen=True, gc=False, omit_defaults=True):
    """One HTTP request of a call; times in ms, `start_ms` from the start of the call."""

    n: Annotated[int, Meta(ge=0, le=1_000)] = 0
    start_ms: Int4 = 0
    duration_ms: Int4 = 0
    status: Status | None = None
    category: Text64 | None = None
    request_id: Text200 | None = None
    wait_ms: Int4 | None = None
    retry_after_s: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    key_alias: Text64 | None = None
    model: Text100 | None = None


class ErrorInfo(Struct, frozen=True, gc=False, omit_defaults=True):
    category: Text64 | None = None
    type: Text200 | None = None
    code: Text200 | None = None
    status: Status | None = None
    message: Text500 | None = None


class Limits(Struct, frozen=True, gc=False, omit_defaults=True):
    """The provider's rate limits as the headers of the last answer told them."""

    requests_limit: Int4 | None = None
    requests_remaining: Int4 | None = None
    input_limit: Int4 | None = None
    input_remaining: Int4 | None = None
    output_limit: Int4 | None = None
    output_remaining: Int4 | None = None


class Content(Struct, frozen=True, gc=False, omit_defaults=True):
    """Prompt and response after redaction, each a JSON document inside a string: never parsed on the way in."""

    input: Document | None = None
    output: Document | None = None
    redactions: Counts | None = None


class Quality(Struct, frozen=True, gc=False, omit_defaults=True):
    """Whether the answer had the form asked for, and how often it was asked for again before."""

    valid: bool | None = None
    repairs: Annotated[int, Meta(ge=0, le=MOST_REPAIRS)] | None = None


class Budget(Struct, frozen=True, gc=False):
    """The client's budget that was nearest to its end after this call, in its unit."""

    key: Text200
    unit: Literal["tokens", "nanousd"]
    spent: Int8
    limit: Int8


class Hashes(Struct, frozen=True, gc=False, omit_defaults=True):
    """SHA-256 of the canonical request and response: told also when the texts are not."""

    input: Sha256 | None = None
    output: Sha256 | None = None


# Usage keys that have a column or a flag; everything else is kept as JSON, within MOST_EXTRA_USAGE.
TYPED_USAGE: Final = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "cache_creation",
        "service_tier",
        "speed",
        "inference_geo",
    }
)


class ReportedUsage:
    """The provider's usage object: as it came, the counts read from it, and the keys that have no column."""

    __slots__ = ("counts", "extra", "raw")

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw: Final = raw
        self.counts: Final[Usage] = read_usage(raw)
        self.extra: Final = None if TYPED_USAGE.issuperset(raw) else _extra_of(raw)


class Event(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One logical call, as the client tells it."""

    id: UUID
    started_at: Utc
    duration_ms: Int4
    outcome: Literal["ok", "degraded", "error", "rejected", "cancelled"]
    operation: Text64 = "messages"
    app: Text200 | None = None
    release: Text200 | None = None
    sdk: Text64 | None = None
    feature: Text200 | None = None
    prompt_type: Text200 | None = None
    prompt_version: Text200 | None = None
    user_id: Text200 | None = None
    session_id: Text200 | None = None
    tags: Annotated[dict[Text64, Text200], Meta(max_length=20)] | None = None
    trace_id: Annotated[str, Meta(pattern="^[0-9a-fA-F]{32}$")] | None = None
    span_id: Annotated[str, Meta(pattern="^[0-9a-fA-F]{16}$")] | None = None
    stream: bool = False
    model_requested: Text100 | None = None
    model: Text100 | None = None
    params: Annotated[dict[Text64, Text200 | Int8 | float | bool | None], Meta(max_length=32)] | None = None
    ttft_ms: Int4 | None = None
    ttft_text_ms: Int4 | None = None
    queue_ms: Int4 | None = None
    attempts: Annotated[tuple[Attempt, ...], Meta(max_length=20)] = ()
    usage: ReportedUsage | None = None
    usage_complete: bool = True
    stop_reason: Text64 | None = None
    stop_category: Text64 | None = None
    source: Literal["api", "cache", "stale_cache", "model_fallback", "rule", "deferred", "notice"] = "api"
    fallback_from: Text64 | None = None
    error: ErrorInfo | None = None
    request_id: Text200 | None = None
    limits: Limits | None = None
    budget: Budget | None = None
    quality: Quality | None = None
    hashes: Hashes | None = None
    content: Content | None = None
    # Set here when characters PostgreSQL cannot hold were replaced; a client that did so itself may say it too.
    sanitized: bool = False


class Client(Struct, frozen=True, gc=False, omit_defaults=True):
    """What a process says about itself. `emitted` and `dropped` count since its start."""

    instance: Text64
    boot_id: UUID
    sdk: Text64 = ""
    emitted: Int8 = 0
    dropped: Counts = {}
    queue_depth: Int8 | None = None
    sent_at: Utc | None = None
    # As they came: what is wrong in them must not cost the events. See `ingest.guards`.
    guards: Any = None
    transitions: Any = None


def read_hook(_type: type, found: object) -> ReportedUsage:
    """Called by the decoder where a ReportedUsage is expected."""
    if not isinstance(found, dict):
        raise UsageError("", "must be an object")
    if len(found) > MOST_USAGE_KEYS:
        raise UsageError("", f"may have at most {MOST_USAGE_KEYS} keys")
    return ReportedUsage(found)


def _written(usage: ReportedUsage) -> dict[str, Any]:
    return usage.raw


_encoder: Final = msgspec.json.Encoder(enc_hook=_written)
# One fixed notation for what an event says: keys in order, nothing that is the default.
canonical: Final = msgspec.msgpack.Encoder(enc_hook=_written, order="deterministic").encode


def event_of(document: dict[str, Any]) -> Event:
    """An event given as a dict, as it would be on the wire. Raises msgspec.ValidationError."""
    return msgspec.convert(document, Event, dec_hook=read_hook)


def encode(event: Event) -> bytes:
    """The event as JSON."""
    return _encoder.encode(event)


def fault(event: Event) -> tuple[str, str] | None:
    """(field, reason) of what types and limits cannot say, or None when the event is good."""
    number = event.id.int
    if not is_call_id(event.id):
        return "id", "must be a UUIDv7, minted when the call starts"
    # A float is exact enough here: at today's dates it tells a quarter of a microsecond apart.
    if not -1.001 <= event.started_at.timestamp() * 1000 - (number >> 80) <= 1.001:
        return "started_at", "must be the instant in the id, within 1 ms"
    return None


def is_call_id(found: UUID) -> bool:
    """Version 7 in bits 76-79, variant 2 in bits 62-63."""
    return (found.int >> 62) & 0x3C003 == 0x1C002


def _extra_of(usage: dict[str, Any]) -> dict[str, Any] | None:
    """What a usage object holds beyond its columns, as small and flat as it must be to be kept; None when empty."""
    extra = {key: value for key, value in usage.items() if key not in TYPED_USAGE and value not in (None, {}, [])}
    if not extra:
        return None
    text = msgspec.json.encode(extra)
    if len(text) > MOST_EXTRA_USAGE:
        raise UsageError("", f"keys this server does not know may take {MOST_EXTRA_USAGE:,} bytes of JSON together")
    if salvage.depth_of(text.decode()) > salvage.MOST_DEPTH:
        raise UsageError("", f"nested deeper than {salvage.MOST_DEPTH} levels")
    return extra
