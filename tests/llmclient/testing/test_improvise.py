"""Answers nobody scripted, through the real SDK."""

import json
from typing import Any, Literal

import anthropic
import pytest
from pydantic import BaseModel, Field

from llmclient.testing import invalid_json, structured
from tests.llmclient.testing.asking import HELLO, MODEL, ask, sdk, text_of
from tests.llmclient.testing.conftest import Serve


class Ticket(BaseModel):
    queue: Literal["billing", "bug", "other"]
    urgency: int = Field(ge=1, le=5)


FORMAT = {"format": {"type": "json_schema", "schema": Ticket.model_json_schema()}}


def test_a_structured_answer_fits_the_schema_asked_for(serve: Serve) -> None:
    fake = serve()
    for _ in range(20):
        Ticket.model_validate_json(text_of(ask(fake, output_config=FORMAT)))


def test_the_sdk_parses_it(serve: Serve) -> None:
    with sdk(serve()) as client:
        parsed = client.messages.parse(model=MODEL, max_tokens=50, messages=HELLO, output_format=Ticket)
    assert isinstance(parsed.parsed_output, Ticket)


def test_a_script_answers_wrongly_first_and_the_fake_rightly_after(serve: Serve) -> None:
    fake = serve(invalid_json('{"queue": "bil'), structured({"queue": "bug", "urgency": 9}), None)
    texts = [text_of(ask(fake, output_config=FORMAT)) for _ in range(3)]
    assert texts[:2] == ['{"queue": "bil', '{"queue": "bug", "urgency": 9}']
    Ticket.model_validate_json(texts[2])


def test_a_schema_beyond_the_fake_is_a_400(serve: Serve) -> None:
    wanted = {"format": {"type": "json_schema", "schema": {"type": "string", "pattern": "^x{70}$"}}}
    with pytest.raises(anthropic.BadRequestError, match="script this answer"):
        ask(serve(), output_config=wanted)


TOOLS: list[dict[str, Any]] = [
    {"name": "triage", "input_schema": Ticket.model_json_schema()},
    {"name": "ping", "input_schema": {"type": "object", "properties": {"at": {"const": 7}}}},
]


@pytest.mark.parametrize("choice", [{"type": "tool", "name": "ping"}, {"type": "any"}])
def test_a_tool_that_has_to_be_used_is_used(serve: Serve, choice: dict[str, str]) -> None:
    message = ask(serve(), tools=TOOLS, tool_choice=choice)
    assert message.stop_reason == "tool_use"
    [block] = message.content
    assert block.type == "tool_use"
    if block.name == "triage":
        Ticket.model_validate(block.input)
    else:
        assert (block.name, block.input) == ("ping", {"at": 7})


@pytest.mark.parametrize("choice", [{"type": "auto"}, {"type": "none"}, {"type": "tool", "name": "nobody"}, None])
def test_otherwise_it_answers_in_words(serve: Serve, choice: dict[str, str] | None) -> None:
    more: dict[str, Any] = {} if choice is None else {"tool_choice": choice}
    assert [block.type for block in ask(serve(), tools=TOOLS, **more).content] == ["text"]


def test_an_answer_is_no_longer_than_max_tokens(serve: Serve) -> None:
    message = ask(serve(), max_tokens=1)
    assert (message.usage.output_tokens, message.stop_reason) == (1, "max_tokens")
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(text_of(message))
