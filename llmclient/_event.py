"""A call as the wire spells it (docs/events.md). Runs in the sender's thread: the host pays nothing for it."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from llmclient._call import Attempt, Call, Failure
from llmclient._sse import StreamReader

MAX_ATTEMPTS: Final = 20
NAME_LENGTH: Final = 200
MODEL_LENGTH: Final = 100
WORD_LENGTH: Final = 64
MESSAGE_LENGTH: Final = 500
LONGEST_WAIT: Final = 1e9  # seconds the wire takes for `retry_after_s`
STRING_LENGTH: Final = 64 * 1024  # characters kept of one string inside captured content


def instant(unix_ms: int) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return f"{datetime.fromtimestamp(unix_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{unix_ms % 1000:03d}Z"


def as_dict(call: Call, *, app: str | None, release: str | None, sdk: str | None) -> dict[str, Any]:
    """The event of a finished call; what is not known is left out."""
    event = {
        "id": str(call.id),
        "started_at": instant(call.started_ms),
        "operation": call.operation,
        "app": app,
        "release": release,
        "sdk": sdk,
        **call.labels,
        "trace_id": call.trace[0] if call.trace else None,
        "span_id": call.trace[1] if call.trace else None,
        "stream": call.stream,
        "model_requested": _cut(call.model_requested, MODEL_LENGTH),
        "model": _cut(call.model, MODEL_LENGTH),
        "params": call.params or None,
        "duration_ms": _ms(call.duration or 0.0),
        "ttft_ms": _ms(call.ttft),
        "ttft_text_ms": _ms(call.ttft_text),
        "queue_ms": _ms(call.queued) or None,
        "attempts": [_attempt(attempt) for attempt in call.attempts[-MAX_ATTEMPTS:]],
        "usage": call.usage,
        "usage_complete": None if call.usage_complete else False,
        "stop_reason": _cut(call.stop_reason, WORD_LENGTH),
        "stop_category": _cut(call.stop_category, WORD_LENGTH),
        "source": call.source,
        "fallback_from": call.fallback_from,
        "outcome": call.outcome,
        "error": _failure(call.error) if call.error else None,
        "request_id": _cut(call.request_id, NAME_LENGTH),
        "limits": call.limits or None,
        "budget": call.budget,
        "quality": _quality(call),
        "content": _content(call),
    }
    return {name: value for name, value in event.items() if value is not None}


def _attempt(attempt: Attempt) -> dict[str, Any]:
    asked = attempt.retry_after
    wire = {
        "n": attempt.n,
        "start_ms": _ms(attempt.start),
        "duration_ms": _ms(attempt.duration),
        "status": attempt.status,
        "category": attempt.category,
        "request_id": _cut(attempt.request_id, NAME_LENGTH),
        "wait_ms": _ms(attempt.wait),
        "retry_after_s": asked if asked is not None and 0 <= asked <= LONGEST_WAIT else None,
        "key_alias": _cut(attempt.key_alias, WORD_LENGTH),
        "model": _cut(attempt.model, MODEL_LENGTH),
    }
    return {name: value for name, value in wire.items() if value is not None}


def _quality(call: Call) -> dict[str, Any] | None:
    return None if call.valid is None else {"valid": call.valid, "repairs": call.repairs}


def _failure(failure: Failure) -> dict[str, Any]:
    wire = {
        "category": failure.category,
        "type": _cut(failure.type, NAME_LENGTH),
        "code": _cut(failure.code, NAME_LENGTH),
        "status": failure.status,
        "message": _cut(failure.message, MESSAGE_LENGTH),
    }
    return {name: value for name, value in wire.items() if value is not None}


def _content(call: Call) -> dict[str, Any] | None:
    if call.sent is None and call.received is None:
        return None
    if isinstance(call.received, StreamReader):
        output: object = call.received.content()
    else:
        output = json.loads(call.received)["content"] if call.received else []
    return {"input": _question(call.sent or b"{}"), "output": _text(output), "redactions": {}}


def _question(sent: bytes) -> str:
    # Nothing in so short a body can be too long: it is sent as the SDK wrote it, without being read again.
    return sent.decode() if len(sent) <= STRING_LENGTH else _text(json.loads(sent))


def _text(value: object) -> str:
    return json.dumps(_shortened(value), ensure_ascii=False, separators=(",", ":"))


def _shortened(value: object) -> object:
    """The same value with over-long strings (images, whole files) cut, so that it stays valid JSON."""
    if isinstance(value, str) and len(value) > STRING_LENGTH:
        return f"{value[:STRING_LENGTH]}… [{len(value) - STRING_LENGTH} characters left out]"
    if isinstance(value, dict):
        return {key: _shortened(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shortened(inner) for inner in value]
    return value


def _cut(text: str | None, length: int) -> str | None:
    return text if text is None else text[:length]


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
