"""A call as the wire spells it (docs/events.md). Runs in the sender's thread: the host pays nothing for it."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Self

from llmclient import _breath
from llmclient._call import Attempt, Call
from llmclient._privacy._content import UNREAD, content_of, labels_of
from llmclient._privacy._hashes import content_hash
from llmclient._privacy._pseudonyms import Pseudonyms
from llmclient._privacy._redact import Redactor
from llmclient._sse import StreamReader
from llmclient._wire import MESSAGE_LENGTH, MODEL_LENGTH, NAME_LENGTH, WORD_LENGTH, instant

MAX_ATTEMPTS: Final = 20
LONGEST_WAIT: Final = 1e9  # seconds the wire takes for `retry_after_s`


@dataclass(frozen=True, slots=True)
class Names:
    """What all events of a process say, and how it keeps personal data to itself."""

    app: str | None = None
    release: str | None = None
    redactor: Redactor = field(default_factory=Redactor)
    pseudonyms: Pseudonyms | None = None


def as_dict(call: Call, names: Names, *, sdk: str | None) -> dict[str, Any]:
    """The event of a finished call; what is not known is left out, and what is personal is removed."""
    said = _Said.of(call)
    _breath.take()
    hashes = _hashes(call, said)
    _breath.take()
    event = {
        "id": str(call.id),
        "started_at": instant(call.started_ms),
        "operation": call.operation,
        "app": names.app,
        "release": names.release,
        "sdk": sdk,
        **_labels(call, names),
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
        "error": _failure(call, names) if call.error else None,
        "request_id": _cut(call.request_id, NAME_LENGTH),
        "limits": call.limits or None,
        "budget": call.budget,
        "quality": _quality(call),
        "hashes": hashes,
        "content": content_of(call.sent, said.blocks, call.capture, names.redactor, said.asked),
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


def _labels(call: Call, names: Names) -> Mapping[str, Any]:
    if call.capture != "full":
        return labels_of(call.labels, names.redactor, names.pseudonyms)
    if names.pseudonyms is None or "user_id" not in call.labels:
        return call.labels
    return {**call.labels, "user_id": names.pseudonyms.of(call.labels["user_id"])}


def _failure(call: Call, names: Names) -> dict[str, Any]:
    assert call.error is not None
    failure, message = call.error, call.error.message
    if message is not None and call.capture != "full":
        message = names.redactor.short(message, MESSAGE_LENGTH)
    wire = {
        "category": failure.category,
        "type": _cut(failure.type, NAME_LENGTH),
        "code": _cut(failure.code, NAME_LENGTH),
        "status": failure.status,
        "message": _cut(message, MESSAGE_LENGTH),
    }
    return {name: value for name, value in wire.items() if value is not None}


@dataclass(frozen=True, slots=True)
class _Said:
    """What was said, read once."""

    asked: Any
    """The body of the request; UNREAD when there was none, or one that cannot be read."""
    blocks: list[Any] | None
    """The content of the answer, as far as it came."""

    @classmethod
    def of(cls, call: Call) -> Self:
        asked: Any = UNREAD
        if call.sent:
            with suppress(ValueError, RecursionError):
                asked = json.loads(call.sent)
        if isinstance(call.received, StreamReader):
            return cls(asked, call.received.content())
        return cls(asked, None if call.received is None else json.loads(call.received).get("content", []))


def _hashes(call: Call, said: _Said) -> dict[str, str] | None:
    """Of what was said, kept or not: see `content_hash` for what they show."""
    if call.operation == "count_tokens" or (call.sent is None and call.received is None):
        return None
    found = {"input": call.sent if said.asked is UNREAD else said.asked, "output": said.blocks}
    return {
        side: content_hash(value)
        for side, value in found.items()
        if value is not None or (side == "input" and said.asked is None)
    }


def _cut(text: str | None, length: int) -> str | None:
    return text if text is None else text[:length]


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
