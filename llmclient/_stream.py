"""A message as the stream of events it would have come in, and back. Pure; the order of events is the API's own."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from llmclient import _usage

# What only the last event knows; `message_start` carries the rest.
AT_THE_END: Final = ("stop_reason", "stop_sequence", "stop_details")
# Usage that `message_delta` does not repeat.
ONLY_AT_THE_START: Final = frozenset({"cache_creation", "service_tier", "inference_geo", "speed"})
INPUT: Final = "partial_json"  # of a tool, as the text of its JSON
# The parts of a block that come in pieces, by the type of the delta.
PIECES: Final[Mapping[str, str]] = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": INPUT,
}

Parts = dict[str, list[str]]
"""The pieces of a block that have come, by what they are a part of: joined once, for a long text has thousands."""


def events_of(message: Mapping[str, Any], *, pieces: int = 1) -> bytes:
    """The whole stream of a message; each text in so many deltas."""
    return b"".join(_encode(event) for event in _events(message, max(1, pieces)))


def message_of(stream: bytes) -> dict[str, Any] | None:
    """The message a complete stream carries; None when it is not complete, or no stream of a message."""
    try:
        return assembled(_decode(stream))
    except ValueError:
        return None


def assembled(events: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The message some events carry; None when they are not all of one."""
    message: dict[str, Any] | None = None
    parts: dict[int, Parts] = {}  # of the blocks that have not ended
    try:
        for event in events:
            kind = event.get("type")
            if kind == "message_start":
                message = {**event["message"], "content": []}
            elif kind == "error":
                return None
            elif message is not None and kind == "message_stop":
                for index, unended in parts.items():
                    unended.pop(INPUT, None)  # cut off, it is no JSON
                    _end(message["content"][index], unended)
                return message
            elif message is not None:
                _add(message, event, parts)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
    return None


def _events(message: Mapping[str, Any], pieces: int) -> Iterator[dict[str, Any]]:
    usage = message.get("usage") or {}
    start = {**message, "content": [], **dict.fromkeys(AT_THE_END), "usage": {**usage, "output_tokens": 0}}
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(message.get("content") or ()):
        yield {"type": "content_block_start", "index": index, "content_block": _opened(block)}
        for delta in _deltas(block, pieces):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    end = {name: message.get(name) for name in AT_THE_END}
    if message.get("container") is not None:
        end["container"] = message["container"]
    total = {"output_tokens": 0, **{name: count for name, count in usage.items() if name not in ONLY_AT_THE_START}}
    last = {"type": "message_delta", "delta": end, "usage": total}
    if message.get("context_management") is not None:
        last["context_management"] = message["context_management"]
    yield last
    yield {"type": "message_stop"}


def _opened(block: Mapping[str, Any]) -> dict[str, Any]:
    """The block as it begins. Kinds that are not known here come whole at the start, as results of tools do."""
    kind = block.get("type")
    if kind == "text":
        return {**block, "text": "", **({"citations": []} if block.get("citations") else {})}
    if kind == "thinking":
        return {**block, "thinking": "", "signature": ""}
    if isinstance(block.get("input"), Mapping):
        return {**block, "input": {}}
    return dict(block)


def _deltas(block: Mapping[str, Any], pieces: int) -> Iterator[dict[str, Any]]:
    kind = block.get("type")
    if kind in ("text", "thinking"):
        for part in _cut(block[kind], pieces):
            yield {"type": f"{kind}_delta", kind: part}
    if kind == "text":
        for citation in block.get("citations") or ():
            yield {"type": "citations_delta", "citation": citation}
    elif kind == "thinking":
        yield {"type": "signature_delta", "signature": block.get("signature", "")}
    elif isinstance(block.get("input"), Mapping) and block["input"]:
        for part in _cut(json.dumps(block["input"], ensure_ascii=False, separators=(",", ":")), pieces):
            yield {"type": "input_json_delta", "partial_json": part}


def _cut(text: str, pieces: int) -> list[str]:
    size = max(1, -(-len(text) // pieces))
    return [text[start : start + size] for start in range(0, len(text), size)]


def _add(message: dict[str, Any], event: Mapping[str, Any], parts: dict[int, Parts]) -> None:
    kind, content = event.get("type"), message["content"]
    if kind == "content_block_start":
        content.append(dict(event["content_block"]))
    elif kind == "content_block_delta":
        _grow(content[event["index"]], event["delta"], parts.setdefault(event["index"], {}))
    elif kind == "content_block_stop":
        _end(content[event["index"]], parts.pop(event["index"], {}))
    elif kind == "message_delta":
        message.update({name: value for name, value in event["delta"].items() if value is not None})
        message["usage"] = _usage.merge(message.get("usage") or {}, event.get("usage") or {})
        if event.get("context_management") is not None:
            message["context_management"] = event["context_management"]


def _grow(block: dict[str, Any], delta: Mapping[str, Any], parts: Parts) -> None:
    kind = delta["type"]
    if kind in PIECES:
        field = PIECES[kind]
        parts.setdefault(field, []).append(delta[field])
    elif kind == "citations_delta":
        block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
    else:  # of a kind not known here: it carries fields of the block, whole
        block.update({name: value for name, value in delta.items() if name != "type"})


def _end(block: dict[str, Any], parts: Parts) -> None:
    for field, pieces in parts.items():
        joined = "".join(pieces)
        if field != INPUT:
            block[field] = f"{block.get(field) or ''}{joined}"
        elif joined:
            block["input"] = json.loads(joined)


def _encode(event: Mapping[str, Any]) -> bytes:
    # Everything beyond ASCII escaped: a reader may take more characters for the end of a line than the format does.
    data = json.dumps(event, separators=(",", ":")).encode()
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), data)


def _decode(stream: bytes) -> Iterator[dict[str, Any]]:
    for block in stream.replace(b"\r\n", b"\n").split(b"\n\n"):
        data = b"\n".join(line[5:] for line in block.split(b"\n") if line.startswith(b"data:"))
        if data:
            yield json.loads(data)
