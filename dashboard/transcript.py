"""A request and its answer as people read them: who says what, in turns; what is not text stays JSON."""

from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Turn:
    who: str
    text: str


def asked(text: str) -> list[Turn]:
    """Return the turns of a request: the system prompt, each message, then the other parameters together."""
    try:
        return _turns(_parsed(text))
    except orjson.JSONEncodeError:
        # Nested deeper than can be written again, though it could be read: shown as it came.
        return [Turn("prompt", text)]


def _turns(value: Any) -> list[Turn]:
    if isinstance(value, list):
        value = {"messages": value}
    if not isinstance(value, dict):
        return _one("prompt", value)
    turns = _one("system", value.get("system"))
    messages = value.get("messages")
    for message in messages if isinstance(messages, list) else []:
        is_turn = isinstance(message, dict) and "content" in message
        turns += _one(str(message.get("role", "")), message["content"]) if is_turn else _one("message", message)
    rest = {key: part for key, part in value.items() if key not in ("system", "messages")}
    return turns + (_one("parameters", rest) if rest else [])


def answered(text: str) -> list[Turn]:
    """Return the response as one turn; nothing when there was none."""
    try:
        return _one("response", _parsed(text))
    except orjson.JSONEncodeError:
        return [Turn("response", text)]


def _one(who: str, value: Any) -> list[Turn]:
    said = _said(value)
    return [Turn(who, said)] if said else []


def _said(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n\n".join(_block(block) for block in value)
    return _json(value)


def _block(block: Any) -> str:
    """Return the words of a text block; anything else, a picture or a tool call, as it was sent."""
    is_text = isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str)
    return str(block["text"]) if is_text else _json(block)


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
