"""Messages as plain data, as the API writes them: made here, read, and marked as ours."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

# Nothing was billed; a key that is missing would only say that it is not known.
NO_USAGE: Final[Mapping[str, int]] = {
    "input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 0,
}
COMPLETE: Final = frozenset({"end_turn", "stop_sequence"})
TOOL_CALLS: Final = "tool_use"  # how the types of all blocks end that ask for a tool


def id_for(call_id: uuid.UUID | None) -> str:
    """The id of a message made here. It leads to the event of the call, where one is known."""
    return f"msg_llmclient_{(call_id or uuid.uuid4()).hex}"


def of(content: str | Mapping[str, Any], *, model: str, call_id: uuid.UUID | None = None) -> dict[str, Any]:
    """A whole message from a text, or from as much of a message as is given; complete unless it says otherwise.

    Usage is zero and the id ours whatever is given: nobody may take it for an answer of Claude's. TypeError for a
    content that is neither a text nor a list of blocks.
    """
    given: Mapping[str, Any] = {"content": content} if isinstance(content, str) else content
    said = given.get("content")
    if isinstance(said, str):
        said = [{"type": "text", "text": said}]
    if not isinstance(said, list) or not all(isinstance(block, Mapping) and "type" in block for block in said):
        raise TypeError(f"a message needs a text or a list of blocks as its content, not {said!r}")
    defaults = {"model": model, "stop_reason": "end_turn", "stop_sequence": None, "stop_details": None}
    fixed = {"id": id_for(call_id), "type": "message", "role": "assistant", "usage": dict(NO_USAGE)}
    return {**defaults, **given, **fixed, "content": [dict(block) for block in said]}


def again(message: Mapping[str, Any], *, call_id: uuid.UUID | None = None) -> dict[str, Any]:
    """A message given out once more: the same words under an id of ours, and nothing billed."""
    return {**message, "id": id_for(call_id), "usage": dict(NO_USAGE)}


def text_of(message: Mapping[str, Any]) -> str:
    """All visible text of a message."""
    return "".join(block["text"] for block in message.get("content") or () if _is_text(block))


def with_texts(message: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """A copy in which each text block has gone through `change`; thinking and tool calls are left as they are."""
    blocks = message.get("content") or ()
    content = [{**block, "text": change(block["text"])} if _is_text(block) else block for block in blocks]
    return {**message, "content": content}


def is_complete(message: Mapping[str, Any]) -> bool:
    """Whether it is an answer that stands for itself: ended by itself, not refused, cut off or waiting for a tool."""
    content = message.get("content")
    if message.get("type") != "message" or message.get("stop_reason") not in COMPLETE:
        return False
    return isinstance(content, list) and bool(content) and not any(map(_asks_for_a_tool, content))


def _asks_for_a_tool(block: Any) -> bool:
    return not isinstance(block, Mapping) or str(block.get("type")).endswith(TOOL_CALLS)


def _is_text(block: Any) -> bool:
    return isinstance(block, Mapping) and block.get("type") == "text" and isinstance(block.get("text"), str)
