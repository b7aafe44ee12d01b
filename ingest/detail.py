"""What a stored call keeps beside its columns, as JSON: only what has no column, and nothing that is empty.

Keys: `attempts` (when there was more than one, or the call failed), `params`, `tags`, `app`, `release`, `sdk`,
`operation` (when not messages), `ttft_text_ms`, `stop_category`, `usage` (keys that have no column), `error` (its
`type` and `code`), `fallback_from`, `redactions` (how many of each kind were removed from the body).
"""

from typing import Any, Final

import msgspec

from ingest.wire import Event

_encode: Final = msgspec.json.Encoder().encode


def encode(event: Event) -> bytes | None:
    """The JSON text, or None when there is nothing to keep."""
    detail: dict[str, Any] = {}
    if event.app is not None:
        detail["app"] = event.app
    if event.release is not None:
        detail["release"] = event.release
    if event.sdk is not None:
        detail["sdk"] = event.sdk
    if event.params:
        detail["params"] = event.params
    if event.tags:
        detail["tags"] = event.tags
    if event.usage is not None and event.usage.extra is not None:
        detail["usage"] = event.usage.extra
    if event.attempts and (len(event.attempts) > 1 or event.error is not None):
        detail["attempts"] = event.attempts
    _add_rare(detail, event)
    return _encode(detail) if detail else None


def _add_rare(detail: dict[str, Any], event: Event) -> None:
    if event.operation != "messages":
        detail["operation"] = event.operation
    if event.ttft_text_ms is not None:
        detail["ttft_text_ms"] = event.ttft_text_ms
    if event.stop_category is not None:
        detail["stop_category"] = event.stop_category
    if event.fallback_from is not None:
        detail["fallback_from"] = event.fallback_from
    error = event.error
    if error is not None and (error.type is not None or error.code is not None):
        detail["error"] = {"type": error.type, "code": error.code}
    if event.content is not None and event.content.redactions:
        detail["redactions"] = event.content.redactions
