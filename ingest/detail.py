"""What a stored call keeps beside its columns, as JSON: only what has no column, and nothing that is empty.

Keys: `attempts` (when there was more than one, or the call failed), `params`, `tags`, `app`, `release`, `sdk`,
`operation` (when not messages), `ttft_text_ms` (when another than ttft_ms), `stop_category`, `usage` (keys that have no
column), `error` (its `type` and `code`), `fallback_from`, `redactions` (how many of each kind were removed).
"""

from typing import Any, Final

import msgspec

from ingest.events import Attempt, ErrorInfo, Event

_encode: Final = msgspec.json.Encoder().encode


class _Detail(msgspec.Struct, omit_defaults=True):
    """The keys, in the order they are written; what is None is not."""

    app: str | None = None
    release: str | None = None
    sdk: str | None = None
    params: dict[str, Any] | None = None
    tags: dict[str, str] | None = None
    usage: dict[str, Any] | None = None
    attempts: tuple[Attempt, ...] = ()
    operation: str = "messages"
    ttft_text_ms: int | None = None
    stop_category: str | None = None
    error: dict[str, str | None] | None = None
    fallback_from: str | None = None
    redactions: dict[str, int] | None = None


def encode(event: Event) -> bytes | None:
    """The JSON text, or None when there is nothing to keep."""
    usage, error, content, attempts = event.usage, event.error, event.content, event.attempts
    detail = _Detail(
        event.app,
        event.release,
        event.sdk,
        event.params or None,
        event.tags or None,
        None if usage is None else usage.extra,
        attempts if error is not None or len(attempts) > 1 else (),
        event.operation,
        None if event.ttft_text_ms == event.ttft_ms else event.ttft_text_ms,
        event.stop_category,
        None if error is None or (error.type is None and error.code is None) else _named(error),
        event.fallback_from,
        None if content is None else content.redactions or None,
    )
    text = _encode(detail)
    return None if text == b"{}" else text


def _named(error: ErrorInfo) -> dict[str, str | None]:
    return {"type": error.type, "code": error.code}
