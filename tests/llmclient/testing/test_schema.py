"""Values that fit a schema, checked by pydantic, which made the schema."""

import random
from datetime import date
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

import anthropic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter

from llmclient.testing._schema import SchemaError, example


class Queue(StrEnum):
    BILLING = "billing"
    BUG = "bug"


class Line(BaseModel):
    sku: str = Field(pattern=r"^[A-Z]{2}-\d{3}$")
    count: int = Field(gt=0, lt=4)
    price: float = Field(ge=0.5, le=0.75)
    replaces: "Line | None" = None


class Ticket(BaseModel):
    queue: Queue
    urgency: int = Field(ge=1, le=5)
    kind: Literal["ticket"]
    title: str = Field(min_length=30, max_length=40)
    due: date | None
    key: UUID
    lines: list[Line] = Field(min_length=2, max_length=3)
    either: int | list[str]
    labels: dict[str, str] = {}
    open: bool
    even: int = Field(multiple_of=7, ge=20, le=22)


SCHEMA = Ticket.model_json_schema()


@settings(max_examples=100)
@given(st.integers())
def test_whatever_the_seed_the_value_fits(seed: int) -> None:
    made = example(SCHEMA, random.Random(seed))
    ticket = Ticket.model_validate(made)
    assert (ticket.kind, ticket.even) == ("ticket", 21)


@settings(max_examples=50)
@given(st.integers())
def test_limits_the_sdk_moved_into_the_descriptions_are_kept(seed: int) -> None:
    Ticket.model_validate(example(anthropic.transform_schema(SCHEMA), random.Random(seed)))


def test_the_same_seed_gives_the_same_value() -> None:
    assert example(SCHEMA, random.Random(4)) == example(SCHEMA, random.Random(4))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 7}, 7),
        ({"enum": ["a"]}, "a"),
        ({"type": "null"}, None),
        ({"type": ["null", "integer"], "minimum": 3, "maximum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 6}, 5),
        ({"type": "integer", "maximum": -5, "minimum": -5}, -5),
        ({"type": "string", "format": "date"}, "2026-11-22"),
        ({"type": "string", "maxLength": 0}, ""),
        ({"type": "array", "maxItems": 0}, []),
        ({"allOf": [{"type": "object", "properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]},
         {"a": 1, "b": 2}),
        ({"oneOf": [{"type": "null"}]}, None),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": "a"}], "minItems": 2, "maxItems": 2}, [1, "a"]),
        ({"properties": {"a": {"$ref": "#/$defs/one"}}, "$defs": {"one": {"const": 1}}}, {"a": 1}),
    ],
)  # fmt: skip
def test_schemas_that_allow_one_value_get_it(schema: dict[str, Any], value: object) -> None:
    assert example(schema, random.Random(0)) == value


def test_a_tree_ends() -> None:
    children = {"type": "array", "items": {"$ref": "#/$defs/node"}}
    tree = {"$defs": {"node": {"properties": {"children": children}}}, "$ref": "#/$defs/node"}
    made = TypeAdapter(dict[str, Any]).validate_python(example(tree, random.Random(1)))
    assert list(made) == ["children"]


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "string", "pattern": "^x{70}$"}, "script this answer"),
        ({"$ref": "#/$defs/nowhere"}, "leads nowhere"),
        ({"type": "colour"}, "none of JSON's"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "no whole number"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "contains itself without end"),
    ],
)
def test_what_cannot_be_made_is_told(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        example(schema, random.Random(0))
