"""What of a prompt and its answer goes into the event. Runs in the sender's thread, before spool and network."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from llmclient._policy import Capture
from llmclient._privacy._pseudonyms import Pseudonyms
from llmclient._privacy._redact import FAILED, Redactor
from llmclient._quietly import warn

STRING_LENGTH: Final = 64 * 1024  # characters kept of one string inside captured content
UNREAD: Final = object()
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def content_of(
    sent: bytes | None,
    received: list[Any] | dict[str, Any] | None,
    mode: Capture,
    redactor: Redactor,
    asked: Any = UNREAD,
) -> dict[str, Any] | None:
    """`input` and `output` as JSON in a string, and `redactions`, how many of each kind were removed.

    `sent` is the body of the request, `asked` what it says where it was read before, `received` the content blocks of
    the answer or the whole message. None when nothing is captured. Redacted, it never raises: a side that cannot be
    read is left out, and counted as `redaction_failed`. In full it raises what JSON does.
    """
    if mode == "off" or (sent is None and received is None):
        return None
    blocks = received.get("content", []) if isinstance(received, dict) else received or []
    if mode == "full":
        return {"input": _as_sent(sent or b"{}"), "output": _text(shortened(blocks)), "redactions": {}}
    counts: Counter[str] = Counter()
    said = (sent or b"{}") if asked is UNREAD else asked
    sides = {"input": _redacted(said, redactor, counts), "output": _redacted(blocks, redactor, counts)}
    return {**{name: text for name, text in sides.items() if text is not None}, "redactions": dict(counts)}


def labels_of(labels: Mapping[str, Any], redactor: Redactor, pseudonyms: Pseudonyms | None = None) -> dict[str, Any]:
    """The labels of a call without personal data. With pseudonyms the user's id is one; without it is cleaned, too."""
    out: dict[str, Any] = {}
    for name, value in labels.items():
        if name == "tags":
            out[name] = {redactor.short(tag, 64): redactor.short(said, 200) for tag, said in value.items()}
        elif name == "user_id" and pseudonyms is not None:
            out[name] = pseudonyms.of(value)
        else:
            out[name] = redactor.short(value, 200)
    return out


def _redacted(content: Any, redactor: Redactor, counts: Counter[str]) -> str | None:
    try:
        answer = redactor.redact_json(json.loads(content) if isinstance(content, bytes) else content)
        counts.update(answer.counts)
        return None if answer.failed else _text(answer.document)
    except Exception as error:  # noqa: BLE001  # what cannot be read cannot be redacted, and is not sent
        warn("redaction", "content could not be redacted (%s) and is not sent", type(error).__name__)
        counts[FAILED] += 1
        return None


def _as_sent(sent: bytes) -> str:
    # Nothing in so short a body can be too long: it is sent as the SDK wrote it, without being read again.
    return sent.decode() if len(sent) <= STRING_LENGTH else _text(shortened(json.loads(sent)))


def _text(value: object) -> str:
    return _ENCODER.encode(value)


def shortened(value: Any) -> Any:
    """The same value with over-long strings (images, whole files) cut, so that it stays valid JSON."""
    if isinstance(value, str) and len(value) > STRING_LENGTH:
        return f"{value[:STRING_LENGTH]}… [{len(value) - STRING_LENGTH} characters left out]"
    if isinstance(value, dict):
        return {key: shortened(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shortened(inner) for inner in value]
    return value
