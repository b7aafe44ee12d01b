"""What a request says, read out of its body."""

from collections.abc import Iterator, Mapping
from typing import Any


def texts(body: Mapping[str, Any]) -> Iterator[str]:
    """Every text of a prompt: system, messages, results of tools, plain-text documents. No images, no other files."""
    yield from _texts_in(body.get("system"))
    for message in _messages(body):
        yield from _texts_in(message.get("content"))


def question(body: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """The last text the user says, and the body without it; None when there is none."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        return None
    for place in range(len(messages) - 1, -1, -1):
        message = messages[place]
        if isinstance(message, Mapping) and message.get("role") == "user":
            taken = _take_text(message.get("content"))
            if taken is None:
                return None
            text, content = taken
            rest = [*messages[:place], {**message, "content": content}, *messages[place + 1 :]]
            return text, {**body, "messages": rest}
    return None


def wants_schema(body: Mapping[str, Any]) -> bool:
    """Whether the answer is to have the form of a JSON schema."""
    output = body.get("output_config")
    return (isinstance(output, Mapping) and bool(output.get("format"))) or bool(body.get("output_format"))


def _take_text(content: object) -> tuple[str, object] | None:
    if isinstance(content, str):
        return content, ""
    if not isinstance(content, list):
        return None
    for place in range(len(content) - 1, -1, -1):
        block = content[place]
        if isinstance(block, Mapping) and block.get("type") == "text" and isinstance(block.get("text"), str):
            return block["text"], [*content[:place], {**block, "text": ""}, *content[place + 1 :]]
    return None


def _messages(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    messages = body.get("messages")
    if isinstance(messages, list):
        yield from (message for message in messages if isinstance(message, Mapping))


def _texts_in(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for block in content:
            yield from _texts_of(block) if isinstance(block, Mapping) else _texts_in(block)


def _texts_of(block: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(block.get("text"), str):
        yield block["text"]
    yield from _texts_in(block.get("content"))
    source = block.get("source")
    if isinstance(source, Mapping):
        yield from _texts_in(source.get("content"))
        if source.get("type") == "text":
            yield from _texts_in(source.get("data"))
