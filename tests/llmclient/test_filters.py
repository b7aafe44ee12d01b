"""What becomes of an answer before the caller sees it."""

import copy
import re
from typing import Any

import pytest

from llmclient import _message, filters
from llmclient._exceptions import OutputFiltered
from llmclient.filters import Mask, MaxLength, Reject, apply

THINKING = {"type": "thinking", "thinking": "anna@example.com", "signature": "s"}
TOOL = {"type": "tool_use", "id": "t", "name": "mail", "input": {"to": "anna@example.com"}}
USAGE = {"input_tokens": 5, "output_tokens": 6}


def message(*texts: str) -> dict[str, Any]:
    content = [THINKING, *({"type": "text", "text": text} for text in texts), TOOL]
    return {**_message.of({"content": content}, model="claude-haiku-5-5"), "id": "msg_1", "usage": USAGE}


def texts(filtered: dict[str, Any]) -> list[str]:
    return [block["text"] for block in filtered["content"] if block["type"] == "text"]


def test_a_mask_covers_what_matches_in_the_text_and_nothing_else() -> None:
    before = message("Write to anna@example.com.", "Or bob@example.com")
    unchanged = copy.deepcopy(before)
    after = apply([Mask(r"\S+@\S+\.\w+")], before)
    assert texts(after) == ["Write to […].", "Or […]"]
    assert (after["content"][0], after["content"][-1]) == (THINKING, TOOL)
    assert (after["id"], after["usage"], after["stop_reason"]) == ("msg_1", USAGE, "end_turn")
    assert before == unchanged


def test_a_mask_may_be_a_compiled_pattern_or_a_function_of_the_text() -> None:
    assert texts(apply([Mask(re.compile("SECRET", re.IGNORECASE), r"\1")], message("a secret"))) == [r"a \1"]
    assert texts(apply([Mask("secret", "-", flags=re.IGNORECASE)], message("a Secret"))) == ["a -"]
    assert texts(apply([Mask(str.upper)], message("a"))) == ["A"]


def test_what_is_rejected_is_not_repeated() -> None:
    guard = Reject(r"(?i)project\s+blue", "it names a project that is secret")
    assert apply([guard], message("project red")) == message("project red")
    with pytest.raises(OutputFiltered, match=r"^The answer was held back: it names a project that is secret$"):
        apply([guard], message("about Project Blue"))
    with pytest.raises(OutputFiltered):
        apply([guard], message("about project ", "blue"))


def test_what_is_too_long_is_cut() -> None:
    assert texts(apply([MaxLength(10)], message("12345", "67890"))) == ["12345", "67890"]
    assert texts(apply([MaxLength(7)], message("12345", "67890", "x"))) == ["12345", "67"]
    assert texts(apply([MaxLength(5)], message("12345", "67890"))) == ["12345"]


def test_or_held_back() -> None:
    with pytest.raises(OutputFiltered, match="it has 10 characters, of 9 at most"):
        apply([MaxLength(9, reject=True)], message("12345", "67890"))


def test_filters_are_applied_in_their_order() -> None:
    assert texts(apply([Mask("a", "b"), Mask("b", "c")], message("ab"))) == ["cc"]
    assert texts(apply([Mask("b", "c"), Mask("a", "b")], message("ab"))) == ["bc"]


def test_a_filter_of_your_own_returns_the_message_or_none() -> None:
    def sign(given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "content": [*given["content"], {"type": "text", "text": "— a machine"}]}

    def note(given: dict[str, Any]) -> None:
        given["content"][1]["text"] += "!"

    before = message("Hello")
    assert texts(apply([sign, note], before)) == ["Hello!", "— a machine"]
    assert texts(before) == ["Hello"]


@pytest.mark.parametrize("broken", [lambda given: 1 / 0, lambda given: "text", lambda given: {"content": "text"}])
def test_a_filter_that_fails_holds_the_answer_back(broken: Any) -> None:
    with pytest.raises(OutputFiltered) as held_back:
        apply([broken], message("Hello"))
    assert held_back.value.reason == filters.FAILED
    assert isinstance(held_back.value.__cause__, ZeroDivisionError | TypeError)
