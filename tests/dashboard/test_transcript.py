"""Requests and answers as turns."""

import pytest

from dashboard.transcript import Turn, answered, asked


def test_a_request_is_its_system_prompt_its_messages_and_then_the_rest() -> None:
    sent = (
        '{"model":"m","max_tokens":9,"system":"Be brief.","messages":['
        '{"role":"user","content":"Hello\\nthere"},'
        '{"role":"assistant","content":[{"type":"text","text":"Hi"},{"type":"tool_use","name":"f"}]}]}'
    )
    assert asked(sent) == [
        Turn("system", "Be brief."),
        Turn("user", "Hello\nthere"),
        Turn("assistant", 'Hi\n\n{\n  "type": "tool_use",\n  "name": "f"\n}'),
        Turn("parameters", '{\n  "model": "m",\n  "max_tokens": 9\n}'),
    ]


def test_an_answer_is_its_text() -> None:
    assert answered('[{"type":"text","text":"One"},{"type":"text","text":"Two"}]') == [Turn("response", "One\n\nTwo")]
    assert answered('"Plain"') == [Turn("response", "Plain")]
    assert answered("[]") == []


@pytest.mark.parametrize(
    "text", ["", "not json", "null", "1", "[1]", '{"messages":1}', '{"messages":[1,{}]}', "[[[]]]"]
)
def test_nothing_that_was_stored_is_unreadable(text: str) -> None:
    for turn in asked(text) + answered(text):
        assert turn.text != ""


@pytest.mark.parametrize("levels", [253, 300, 1_000, 5_000])
def test_a_text_nested_too_deep_to_be_laid_out_is_shown_all_the_same(levels: int) -> None:
    text = '{"a":' * levels + "1" + "}" * levels
    for turns in (asked(text), answered(text)):
        (turn,) = turns
        assert turn.text.count('"a":') == levels
