"""Messages as plain data."""

from typing import Any
from uuid import UUID

import pytest

from llmclient import _message

CALL_ID = UUID("01939e6a-5c00-7000-8000-000000000001")
ZERO = {
    "input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 0,
}


def test_a_text_becomes_a_whole_message() -> None:
    assert _message.of("Hello", model="claude-haiku-5-5", call_id=CALL_ID) == {
        "id": "msg_llmclient_01939e6a5c0070008000000000000001",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": ZERO,
    }


def test_without_a_call_the_id_is_still_ours_and_its_own() -> None:
    ids = {_message.of("x", model="m")["id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(name.startswith("msg_llmclient_") and len(name) == 46 for name in ids)


def test_a_given_message_keeps_what_it_says_but_not_who_it_claims_to_be() -> None:
    claimed = {"id": "msg_real", "usage": {"output_tokens": 9}, "role": "user", "model": "other", "content": "text"}
    message = _message.of(claimed, model="claude-haiku-5-5", call_id=CALL_ID)
    assert (message["model"], message["content"]) == ("other", [{"type": "text", "text": "text"}])
    assert (message["id"][:14], message["usage"], message["role"]) == ("msg_llmclient_", ZERO, "assistant")


@pytest.mark.parametrize("content", [{}, {"content": 3}, {"content": ["text"]}, {"content": [{"text": "no type"}]}])
def test_what_is_no_content_is_told(content: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="a message needs a text or a list of blocks"):
        _message.of(content, model="m")


def test_a_message_given_again_costs_nothing_and_has_another_id() -> None:
    message = {**_message.of("x", model="m"), "id": "msg_1", "usage": {"input_tokens": 5, "output_tokens": 6}}
    again = _message.again(message, call_id=CALL_ID)
    assert again == {**message, "id": "msg_llmclient_01939e6a5c0070008000000000000001", "usage": ZERO}
    assert message["usage"] == {"input_tokens": 5, "output_tokens": 6}


@pytest.mark.parametrize(
    ("changed", "complete"),
    [
        ({}, True),
        ({"stop_reason": "stop_sequence"}, True),
        ({"stop_reason": "refusal"}, False),
        ({"stop_reason": "max_tokens"}, False),
        ({"stop_reason": "tool_use"}, False),
        ({"stop_reason": "pause_turn"}, False),
        ({"stop_reason": "model_context_window_exceeded"}, False),
        ({"stop_reason": None}, False),
        ({"content": []}, False),
        ({"content": "a text"}, False),
        ({"content": ["a text"]}, False),
        ({"content": [{"type": "text", "text": "x"}, {"type": "tool_use", "input": {}}]}, False),
        ({"content": [{"type": "server_tool_use", "input": {}}, {"type": "text", "text": "x"}]}, False),
        ({"type": "error"}, False),
    ],
)
def test_only_what_ended_by_itself_is_complete(changed: dict[str, Any], complete: bool) -> None:
    assert _message.is_complete({**_message.of("x", model="m"), **changed}) is complete


def test_texts_are_changed_and_nothing_else() -> None:
    thinking = {"type": "thinking", "thinking": "abc", "signature": "s"}
    message = _message.of({"content": [thinking, {"type": "text", "text": "abc"}]}, model="m")
    changed = _message.with_texts(message, str.upper)
    assert changed["content"] == [thinking, {"type": "text", "text": "ABC"}]
    assert _message.text_of(message) == "abc"
