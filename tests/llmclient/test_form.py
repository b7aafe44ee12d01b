"""The form an answer is to have."""

import json
from typing import Any, Literal

import pydantic
import pytest

from llmclient._form import MISFITS, Misfit, bare, complaints_of, form_of


class Ticket(pydantic.BaseModel):
    queue: Literal["billing", "bug", "other"]
    urgency: int = pydantic.Field(ge=1, le=5)
    note: str = ""


SCHEMA = {
    "type": "object",
    "properties": {"queue": {"enum": ["billing", "bug"]}, "urgency": {"type": "integer", "minimum": 1}},
    "required": ["queue", "urgency"],
}


def complaints(form: Any, text: str) -> tuple[str, ...]:
    with pytest.raises(MISFITS) as misfit:
        form_of(form).read(text)
    assert isinstance(misfit.value, Exception)
    return complaints_of(misfit.value)


def test_a_model_is_asked_for_strictly_and_read() -> None:
    form = form_of(Ticket)
    assert form.schema is not None
    assert (form.schema["additionalProperties"], form.schema["required"]) == (False, ["queue", "urgency"])
    # The API knows no bounds: they are told in words, and checked here.
    assert form.schema["properties"]["urgency"] == {
        "type": "integer",
        "title": "Urgency",
        "description": "{maximum: 5, minimum: 1}",
    }
    assert form.read('{"queue": "bug", "urgency": 2}') == Ticket(queue="bug", urgency=2)
    assert complaints(Ticket, '{"queue": "sales", "urgency": 9}') == (
        "queue: Input should be 'billing', 'bug' or 'other'",
        "urgency: Input should be less than or equal to 5",
    )
    assert complaints(Ticket, "Surely a bug.") == ("Invalid JSON: expected value at line 1 column 1",)


def test_any_type_pydantic_knows_will_do() -> None:
    assert form_of(list[Ticket]).read('[{"queue": "bug", "urgency": 1}]') == [Ticket(queue="bug", urgency=1)]
    assert form_of(Literal["yes", "no"]).read('"yes"') == "yes"
    assert form_of(int).read("7") == 7


def test_a_schema_is_sent_strictly_and_checked() -> None:
    form = form_of(SCHEMA)
    assert form.schema is not None
    assert form.schema["additionalProperties"] is False
    assert "additionalProperties" not in SCHEMA
    assert form.read('{"queue": "bug", "urgency": 3}') == {"queue": "bug", "urgency": 3}
    assert complaints(SCHEMA, '{"queue": "sales", "urgency": 0}') == (
        "queue: must be one of 'billing', 'bug'",
        "urgency: must be at least 1",
    )
    assert complaints(SCHEMA, "[]") == ("must be object",)
    assert complaints(SCHEMA, "no")[0].startswith("JSONDecodeError: Expecting value")
    assert complaints(SCHEMA, "[" * 100_000)[0].startswith("RecursionError: ")


def test_a_schema_that_cannot_be_checked_is_refused() -> None:
    with pytest.raises(ValueError, match="what is not checked here: uniqueItems"):
        form_of({"type": "array", "uniqueItems": True})


def test_a_function_reads_the_text_as_it_is() -> None:
    form = form_of(json.loads)
    assert form.schema is None
    assert form.read("[1]") == [1]
    assert complaints(lambda text: {"a": 1}[text], "b") == ("KeyError: 'b'",)
    assert complaints(lambda text: int(f"{text}!"), "x")[0].startswith("ValueError: invalid literal for int()")


def test_a_fence_around_json_is_taken_off() -> None:
    assert bare('```json\n{"a": 1}\n```') == '{"a": 1}'
    assert bare('\n```\n{"a": "```"}\n```\n') == '{"a": "```"}'
    assert bare('Here: ```json\n{"a": 1}\n```') == 'Here: ```json\n{"a": 1}\n```'
    assert form_of(Ticket).read('```json\n{"queue": "bug", "urgency": 2}\n```').urgency == 2


def test_complaints_are_few_and_short() -> None:
    found = complaints_of(Misfit([f"{n}: {'x' * 300}" for n in range(7)]))
    assert [len(complaint) for complaint in found] == [200] * 5 + [len("and 2 more")]
    assert found[5] == "and 2 more"
    assert complaints_of(Misfit(["one", "two"])) == ("one", "two")
