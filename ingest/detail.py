"""What a stored call keeps beside its columns, as JSON: only what has no column, and nothing that is empty.

Keys: `attempts` (when there was more than one, one failed, or one asked another model than the call names),
`params`, `tags`, `operation` (when not messages), `ttft_text_ms` (when another than ttft_ms), `stop_category`, `usage`
(keys that have no column), `error` (its `type` and `code`), `fallback_from`, `redactions` (how many of each kind were
removed), `budget`. Calls stored before migration 0006 also have `app`, `release`, `sdk` and `key_alias` here.
"""

from typing import Any, Final

import msgspec

from ingest.events import Attempt, Budget, ErrorInfo, Event

_encode: Final = msgspec.json.Encoder().encode


class _Detail(msgspec.Struct, omit_defaults=True):
    """The keys, in the order they are written; what is None is not."""

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
    budget: Budget | None = None


def encode(event: Event) -> bytes | None:
    """The JSON text, or None when there is nothing to keep."""
    usage, error, content, attempts = event.usage, event.error, event.content, event.attempts
    is_told_by_columns = error is None and (not attempts or (len(attempts) == 1 and _is_plain(attempts[0], event)))
    detail = _Detail(
        event.params or None,
        event.tags or None,
        None if usage is None else usage.extra,
        () if is_told_by_columns else attempts,
        event.operation,
        None if event.ttft_text_ms == event.ttft_ms else event.ttft_text_ms,
        event.stop_category,
        None if error is None or (error.type is None and error.code is None) else _named(error),
        event.fallback_from,
        None if content is None else content.redactions or None,
        event.budget,
    )
    text = _encode(detail)
    return None if text == b"{}" else text


def _is_plain(attempt: Attempt, event: Event) -> bool:
    return attempt.category is None and attempt.model in (None, event.model, event.model_requested)


def _named(error: ErrorInfo) -> dict[str, str | None]:
    return {"type": error.type, "code": error.code}
