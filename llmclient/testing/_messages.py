"""Messages as the API writes them: the plain JSON object and the stream of events."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from llmclient.testing._answers import Failure, Reply

CHARS_PER_TOKEN: Final = 3.5
DELTA_FIELDS: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a stream and when they are due, in seconds of the fake's clock from the start of the answer."""

    due: float
    data: bytes


def estimate(text: str) -> int:
    """Tokens in a text, roughly; never 0."""
    return max(1, round(len(text) / CHARS_PER_TOKEN))


def input_tokens(body: Mapping[str, Any]) -> int:
    """Tokens of a request's prompt, roughly, when nobody dictates a number."""
    prompt = [body[key] for key in ("system", "messages", "tools") if key in body]
    return estimate(json.dumps(prompt, ensure_ascii=False))


def usage_of(reply: Reply, body: Mapping[str, Any]) -> dict[str, Any]:
    """The whole usage object of a reply: what is told, the rest estimated."""
    into = reply.input_tokens if reply.input_tokens is not None else input_tokens(body)
    out = reply.output_tokens
    if out is None:
        out = estimate(reply.thinking + reply.text + "".join(_compact(tool.input) for tool in reply.tools))
    usage: dict[str, Any] = {
        "input_tokens": into,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": out,
        "service_tier": "standard",
        "inference_geo": body.get("inference_geo") or "global",
    }
    if "speed" in body:
        usage["speed"] = body["speed"]
    if reply.thinking:
        usage["output_tokens_details"] = {"thinking_tokens": min(out, estimate(reply.thinking))}
    return {**usage, **reply.usage}


def content_of(reply: Reply, message_id: str) -> list[dict[str, Any]]:
    thinking = [{"type": "thinking", "thinking": reply.thinking, "signature": "c2lnbmVk"}] if reply.thinking else []
    text = [{"type": "text", "text": reply.text}] if reply.text or not reply.tools else []
    tools = [
        {
            "type": "tool_use",
            "id": tool.id or f"{message_id.replace('msg_', 'toolu_', 1)}_{number}",
            "name": tool.name,
            "input": dict(tool.input),
        }
        for number, tool in enumerate(reply.tools, 1)
    ]
    return [*thinking, *text, *tools]


def message(reply: Reply, body: Mapping[str, Any], message_id: str) -> dict[str, Any]:
    """The object a plain call is answered with."""
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": reply.model or body["model"],
        "content": content_of(reply, message_id),
        "stop_reason": reply.stop_reason,
        "stop_sequence": None,
        "stop_details": _stop_details(reply),
        "usage": usage_of(reply, body),
    }


def error_body(failure: Failure, request_id: str) -> dict[str, Any]:
    """The object of an error answer."""
    error: dict[str, Any] = {"type": failure.type, "message": failure.message}
    if failure.error_code is not None:
        error["details"] = {"error_code": failure.error_code}
    return {"type": "error", "error": error, "request_id": request_id}


def event(name: str, data: Mapping[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), encode({"type": name, **data}))


def encode(value: Mapping[str, Any]) -> bytes:
    return _compact(value).encode()


def _compact(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def opening(reply: Reply, body: Mapping[str, Any], message_id: str) -> bytes:
    """`message_start`: the input side of the usage is known, the output side is a placeholder."""
    start = message(reply, body, message_id)
    start |= {"content": [], "stop_reason": None, "stop_details": None, "usage": {**start["usage"], "output_tokens": 1}}
    start["usage"].pop("output_tokens_details", None)
    return event("message_start", {"message": start}) + PING * reply.pings


def deltas(reply: Reply, message_id: str) -> Iterator[bytes]:
    """The content blocks, one item per content delta; starts and stops ride along with a neighbour."""
    for index, block in enumerate(content_of(reply, message_id)):
        empty, kind, text = _opened(block)
        before = event("content_block_start", {"index": index, "content_block": empty})
        parts = _cut(text, reply.deltas)
        for number, part in enumerate(parts, 1):
            delta = {"type": kind, DELTA_FIELDS[kind]: part}
            data = before + event("content_block_delta", {"index": index, "delta": delta})
            if number == len(parts):
                if kind == "thinking_delta":
                    signature = {"type": "signature_delta", "signature": block["signature"]}
                    data += event("content_block_delta", {"index": index, "delta": signature})
                data += event("content_block_stop", {"index": index})
            yield data
            before = b""


def _opened(block: Mapping[str, Any]) -> tuple[Mapping[str, Any], str, str]:
    """A block as it starts in a stream, the kind of its deltas, and what they add up to."""
    if block["type"] == "tool_use":
        return {**block, "input": {}}, "input_json_delta", _compact(block["input"])
    if block["type"] == "thinking":
        return {"type": "thinking", "thinking": "", "signature": ""}, "thinking_delta", block["thinking"]
    return {"type": "text", "text": ""}, "text_delta", block["text"]


def closing(reply: Reply, body: Mapping[str, Any]) -> bytes:
    """`message_delta` with cumulative usage (without tier, geography and cache split), then `message_stop`."""
    usage = usage_of(reply, body)
    for key in ("service_tier", "inference_geo", "speed", "cache_creation"):
        usage.pop(key, None)
    end = {"stop_reason": reply.stop_reason, "stop_sequence": None, "stop_details": _stop_details(reply)}
    none = {"stop_reason": None, "stop_sequence": None, "stop_details": None}
    data = b""
    for step in range(1, reply.usage_updates + 1):
        last = step == reply.usage_updates
        so_far = {**usage, "output_tokens": usage["output_tokens"] * step // reply.usage_updates}
        data += event("message_delta", {"delta": end if last else none, "usage": so_far})
    return data + event("message_stop", {})


def pieces(reply: Reply, body: Mapping[str, Any], message_id: str) -> list[Piece]:
    """A whole stream with its times: the deltas spread evenly from `ttft` to `duration`."""
    total = max(reply.ttft, reply.duration if reply.duration is not None else reply.ttft)
    parts = list(deltas(reply, message_id))
    step = (total - reply.ttft) / len(parts)
    timed = [Piece(reply.ttft + number * step, data) for number, data in enumerate(parts)]
    return [Piece(0.0, opening(reply, body, message_id)), *timed, Piece(total, closing(reply, body))]


def _stop_details(reply: Reply) -> dict[str, Any] | None:
    if reply.stop_reason != "refusal":
        return None
    return {"type": "refusal", "category": reply.stop_category, "explanation": reply.explanation}


def _cut(text: str, count: int) -> list[str]:
    size = max(1, -(-len(text) // count))
    return [text[start : start + size] for start in range(0, len(text), size)] or [""]
