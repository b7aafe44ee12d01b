"""What is looked at before anything is sent."""

from collections.abc import Mapping
from typing import Any

import anthropic
import pydantic
import pytest

from llmclient._exceptions import InputRejected
from llmclient.validators import Forbidden, MaxCharacters, MaxTokens, Schema, Validator, check

BODY: dict[str, Any] = {
    "model": "claude-haiku-5-5",
    "max_tokens": 9,
    "system": "12345",
    "messages": [{"role": "user", "content": "67890"}],
    "metadata": {"user_id": "opaque"},
}
LABELS = {"user_id": "4711", "tags": {"plan": "pro"}}


def said(*validators: Validator, **more: Any) -> tuple[str, str] | None:
    rejected = check(validators, {**BODY, **more}, LABELS)
    return None if rejected is None else (rejected.field, rejected.reason)


def test_nothing_said_is_nothing_wrong() -> None:
    assert check([], BODY) is None
    assert said(lambda request: None, MaxCharacters(10)) is None


def test_the_first_complaint_counts() -> None:
    assert said(lambda request: None, lambda request: "no", lambda request: ("model", "never")) == ("", "no")
    assert said(lambda request: ("model", "not this one")) == ("model", "not this one")


def test_it_is_an_exception_to_be_raised() -> None:
    rejected = check([lambda request: ("model", "not this one")], BODY)
    assert isinstance(rejected, anthropic.AnthropicError)
    assert (str(rejected), rejected.__cause__) == ("model: not this one", None)


def test_a_validator_sees_the_request_and_the_labels() -> None:
    seen: list[Mapping[str, Any]] = []

    def look(request: Mapping[str, Any]) -> None:
        seen.append(request)

    check([look], BODY, LABELS)
    assert seen == [{**BODY, "labels": LABELS}]
    assert "labels" not in BODY


@pytest.mark.parametrize(
    ("broken", "cause"),
    [
        (lambda request: 1 / 0, ZeroDivisionError),
        (lambda request: True, TypeError),
        (lambda request: False, TypeError),
        (lambda request: ("field", "reason", "more"), ValueError),
    ],
)
def test_a_validator_that_fails_lets_nobody_pass(broken: Any, cause: type[Exception]) -> None:
    rejected = check([broken], BODY)
    assert rejected is not None
    assert (rejected.field, rejected.reason) == ("", "validator failed")
    assert isinstance(rejected.__cause__, cause)


def test_a_validator_may_raise_what_it_means() -> None:
    def refuse(request: Mapping[str, Any]) -> None:
        raise InputRejected("system", "says too much")

    assert said(refuse) == ("system", "says too much")


def test_characters_are_those_of_all_texts() -> None:
    assert said(MaxCharacters(10)) is None
    assert said(MaxCharacters(9)) == ("messages", "10 characters, of 9 at most")


def test_tokens_are_estimated_tools_included() -> None:
    # 10 characters are 2.9 tokens, so 3; the 15 characters of the tools make it 25, 7.1 tokens, so 8.
    assert said(MaxTokens(3)) is None
    assert said(MaxTokens(2)) == ("messages", "about 3 tokens, of 2 at most")
    assert said(MaxTokens(7), tools=[{"name": "f"}]) == ("messages", "about 8 tokens, of 7 at most")


def test_what_is_forbidden_is_not_repeated() -> None:
    number = Forbidden(r"\b\d{3}-\d{2}-\d{4}\b", "a social security number")
    assert said(number) is None
    assert said(number, system="mine is 123-45-6789") == ("messages", "a social security number")
    assert said(Forbidden("(?i)SECRET"), system="a secret") == ("messages", "contains what is not allowed")


def test_a_part_of_the_request_may_have_to_fit_a_schema() -> None:
    plan = Schema({"properties": {"plan": {"enum": ["free", "pro"]}}, "required": ["plan"]}, "labels.tags")
    assert said(plan) is None
    rejected = check([plan], BODY, {"tags": {"plan": "gold"}})
    assert rejected is not None
    assert (rejected.field, rejected.reason) == ("labels.tags.plan", "must be one of 'free', 'pro'")
    short = Schema({"type": "string", "maxLength": 4}, "messages.0.content")
    assert said(short) == ("messages.0.content", "must have at most 4 characters")
    assert said(Schema({"required": ["thinking"]})) == ("thinking", "is missing")


@pytest.mark.parametrize("part", ["metadata.team", "messages.5", "messages.first", "model.name", "nothing"])
def test_a_part_that_is_not_there_is_wrong_unless_it_may_be_missing(part: str) -> None:
    assert said(Schema({}, part)) == (part, "is missing")
    assert said(Schema({}, part, optional=True)) is None


class Metadata(pydantic.BaseModel):
    user_id: str = pydantic.Field(max_length=5)


def test_a_part_may_have_to_fit_a_pydantic_model() -> None:
    assert said(Schema(Metadata, "metadata"), metadata={"user_id": "short"}) is None
    assert said(Schema(Metadata, "metadata")) == ("metadata.user_id", "String should have at most 5 characters")
    assert said(Schema(dict[str, int], "labels.tags")) == (
        "labels.tags.plan",
        "Input should be a valid integer, unable to parse string as an integer",
    )


def test_a_schema_that_cannot_be_checked_is_told_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="uniqueItems"):
        Schema({"uniqueItems": True})
