"""JSON and the JSON schemas of structured outputs."""

import re
from typing import Any, Literal

import pydantic
import pytest

from llmclient._schema import Reader


def complaints(schema: Any, value: Any) -> list[tuple[str, str]]:
    return list(Reader(schema).complaints(value))


def fits(schema: Any, value: Any) -> bool:
    return complaints(schema, value) == []


@pytest.mark.parametrize(
    ("kind", "fitting", "not_fitting"),
    [
        ("object", [{}, {"a": 1}], [[], "x", None]),
        ("array", [[], [1]], [{}, "x"]),
        ("string", ["", "x"], [1, None]),
        ("number", [1, 1.5, -2], ["1", True, None]),
        ("integer", [1, 2.0], [1.5, True, "1"]),
        ("boolean", [True, False], [0, 1, None]),
        ("null", [None], [0, False, ""]),
    ],
)
def test_types(kind: str, fitting: list[Any], not_fitting: list[Any]) -> None:
    assert [fits({"type": kind}, value) for value in fitting] == [True] * len(fitting)
    assert [complaints({"type": kind}, value) for value in not_fitting] == [[("", f"must be {kind}")]] * len(
        not_fitting
    )


@pytest.mark.parametrize(
    ("schema", "fitting", "not_fitting", "complaint"),
    [
        ({"type": ["string", "null"]}, None, 5, "must be string or null"),
        ({"enum": ["a", 1, None]}, 1, True, "must be one of 'a', 1, None"),
        ({"const": [1, {"a": False}]}, [1, {"a": False}], [1, {"a": 0}], "must be [1, {'a': False}]"),
        ({"minimum": 1}, 1, 0.9, "must be at least 1"),
        ({"maximum": 5}, 5, 6, "must be at most 5"),
        ({"exclusiveMinimum": 1}, 1.1, 1, "must be above 1"),
        ({"exclusiveMaximum": 5}, 4, 5, "must be below 5"),
        ({"minLength": 2}, "äö", "ä", "must have at least 2 characters"),
        ({"maxLength": 2}, "äö", "äöü", "must have at most 2 characters"),
        ({"pattern": "^[a-z]+$"}, "abc", "ab1", "must match ^[a-z]+$"),
        ({"minItems": 1}, [0], [], "must have at least 1 items"),
        ({"maxItems": 1}, [0], [0, 1], "must have at most 1 items"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None, 1, "fits none of the forms allowed"),
        ({"oneOf": [{"minimum": 0}, {"type": "null"}]}, 1, -1, "fits none of the forms allowed"),
        ({"oneOf": [{"minimum": 0}, {"maximum": 9}]}, 10, 5, "fits more than one of the forms allowed"),
        ({"allOf": [{"type": "integer"}, {"minimum": 3}]}, 3, 2, "must be at least 3"),
    ],
)
def test_keywords(schema: Any, fitting: Any, not_fitting: Any, complaint: str) -> None:
    assert complaints(schema, fitting) == []
    assert complaints(schema, not_fitting) == [("", complaint)]


def test_a_bound_is_for_its_own_type_only() -> None:
    assert fits({"minimum": 5}, "x")
    assert fits({"minimum": 5}, True)
    assert fits({"minLength": 5}, 1)
    assert fits({"required": ["a"], "properties": {"a": {"type": "string"}}}, [])


def test_each_complaint_says_where() -> None:
    line = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
    schema = {
        "type": "object",
        "properties": {"lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}}, "name": {"type": "string"}},
        "required": ["lines", "name"],
        "additionalProperties": False,
        "$defs": {"Line": {**line, "additionalProperties": {"type": "string"}}},
    }
    value = {"lines": [{"sum": 1, "note": "x"}, {"sum": "2"}, {"note": 3}], "extra": 1}
    assert sorted(complaints(schema, value)) == [
        ("extra", "is not allowed"),
        ("lines.1.sum", "must be integer"),
        ("lines.2.note", "must be string"),
        ("lines.2.sum", "is missing"),
        ("name", "is missing"),
    ]


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "object", "patternProperties": {}}, "the schema uses what is not checked here: patternProperties"),
        ({"properties": {"a": {"uniqueItems": True}}}, "what is not checked here: uniqueItems"),
        ({"anyOf": [{"not": {}}]}, "what is not checked here: not"),
        ({"$defs": {"A": {"contains": {}}}}, "what is not checked here: contains"),
        ({"$ref": "#/$defs/B", "$defs": {}}, "the schema refers to '#/$defs/B', which is not in its $defs"),
        ({"type": "text"}, "a type that is none: text"),
        ({"items": 5}, "a schema is an object or a boolean, not 5"),
    ],
)
def test_a_schema_that_would_not_be_checked_in_full_is_refused(schema: Any, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        Reader(schema)


class Line(pydantic.BaseModel):
    amount: int = pydantic.Field(ge=1)
    kind: Literal["debit", "credit"] = "debit"


class Bill(pydantic.BaseModel):
    lines: list[Line] = pydantic.Field(min_length=1)
    note: str | None = None
    first: Line | None = None


@pytest.mark.parametrize(
    "value",
    [
        {"lines": [{"amount": 1}]},
        {"lines": [{"amount": 3, "kind": "credit"}], "note": "x", "first": {"amount": 2}},
        {"lines": []},
        {"lines": [{"amount": 0}]},
        {"lines": [{"amount": 1, "kind": "gift"}]},
        {"lines": [{"amount": 1}], "note": 5},
        {"lines": [{"amount": 1}], "first": {}},
        {"note": "x"},
        [],
    ],
)
def test_it_judges_as_pydantic_does_by_the_schema_of_a_model(value: Any) -> None:
    try:
        Bill.model_validate(value, strict=True)
    except pydantic.ValidationError:
        valid = False
    else:
        valid = True
    assert fits(Bill.model_json_schema(), value) is valid
