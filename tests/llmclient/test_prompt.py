"""What a request says."""

from typing import Any

import pytest

from llmclient import _prompt

DOCUMENT = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "in a file"}}
PARTS = {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "in a part"}]}}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aW1hZ2U="}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "found"}]}
BODY: dict[str, Any] = {
    "system": [{"type": "text", "text": "system"}],
    "messages": [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"q": "hidden"}}]},
        {"role": "user", "content": [RESULT, IMAGE, DOCUMENT, PARTS, {"type": "text", "text": "last"}]},
    ],
    "tools": [{"name": "f", "description": "not said by anybody"}],
}


def test_every_text_is_read_in_order() -> None:
    assert list(_prompt.texts(BODY)) == ["system", "first", "found", "in a file", "in a part", "last"]
    assert list(_prompt.texts({"system": "s", "messages": [{"role": "user", "content": "u"}]})) == ["s", "u"]


@pytest.mark.parametrize("body", [{}, {"messages": None}, {"messages": [3, {"role": "user"}], "system": 5}])
def test_what_is_not_there_says_nothing(body: dict[str, Any]) -> None:
    assert list(_prompt.texts(body)) == []
    assert _prompt.question(body) is None


def test_the_question_is_the_last_text_of_the_user() -> None:
    taken = _prompt.question(BODY)
    assert taken is not None
    text, rest = taken
    assert text == "last"
    assert rest["messages"][2]["content"] == [RESULT, IMAGE, DOCUMENT, PARTS, {"type": "text", "text": ""}]
    assert rest["messages"][:2] == BODY["messages"][:2]
    assert BODY["messages"][2]["content"][4] == {"type": "text", "text": "last"}


def test_a_turn_begun_for_claude_does_not_hide_the_question() -> None:
    asked = [{"role": "user", "content": "which?"}, {"role": "assistant", "content": "The answer is"}]
    taken = _prompt.question({"messages": asked})
    assert taken == ("which?", {"messages": [{"role": "user", "content": ""}, asked[1]]})


def test_a_turn_without_text_has_no_question() -> None:
    earlier = {"role": "user", "content": "earlier"}
    assert _prompt.question({"messages": [earlier, {"role": "user", "content": [IMAGE]}]}) is None


def test_whether_json_is_wanted() -> None:
    assert _prompt.wants_schema({"output_config": {"format": {"type": "json_schema", "schema": {}}}})
    assert _prompt.wants_schema({"output_format": {"type": "json_schema", "schema": {}}})
    assert not _prompt.wants_schema({"output_config": {"effort": "low"}})
    assert not _prompt.wants_schema({})
