"""Looks whether JSON fits a JSON schema: the part of the language that structured outputs use, and no more.

A keyword that is not known is a ValueError when the schema is read: what is not checked must not pass for checked.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

# They describe, and demand nothing; `format` does not, either, unless a reader chooses to.
NOTES: Final = frozenset(
    {"title", "description", "default", "examples", "format", "$schema", "$id", "$comment", "$defs", "discriminator"}
)
KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}

Complaints = Iterator[tuple[str, str]]
Check = Callable[[Any, Any, str, "Reader"], Complaints]


class Reader:
    """Complains about values that do not fit the schema. Raises ValueError for a schema it cannot read."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._definitions: Mapping[str, Any] = schema.get("$defs") or {}
        self._schema = schema
        for part in (schema, *self._definitions.values()):
            self._read(part)

    def complaints(self, value: Any) -> Complaints:
        """Each as the place in the value and what is wrong there; the place of the value itself is ""."""
        return self.check(value, self._schema, "")

    def check(self, value: Any, schema: Any, place: str) -> Complaints:
        if schema is True:
            return
        if schema is False:
            yield place, "is not allowed"
            return
        if "$ref" in schema:
            yield from self.check(value, self._definitions[schema["$ref"].removeprefix("#/$defs/")], place)
        for keyword, demand in schema.items():
            if keyword in CHECKS:
                yield from CHECKS[keyword](value, demand, place, self)
        if "properties" in schema or "additionalProperties" in schema:
            yield from self._check_object(value, schema, place)

    def _check_object(self, value: Any, schema: Mapping[str, Any], place: str) -> Complaints:
        if not isinstance(value, dict):
            return
        known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        for name, inner in value.items():
            yield from self.check(inner, known.get(name, others), inside(place, name))

    def _read(self, schema: Any) -> None:
        if isinstance(schema, bool):
            return
        if not isinstance(schema, Mapping):
            raise ValueError(f"a schema is an object or a boolean, not {schema!r}")
        unknown = sorted(set(schema) - NOTES - set(CHECKS) - {"$ref", "properties", "additionalProperties"})
        if unknown:
            raise ValueError(f"the schema uses what is not checked here: {', '.join(unknown)}")
        reference = schema.get("$ref")
        if reference is not None and reference.removeprefix("#/$defs/") not in self._definitions:
            raise ValueError(f"the schema refers to {reference!r}, which is not in its $defs")
        kinds = schema.get("type", [])
        if unread := set([kinds] if isinstance(kinds, str) else kinds) - set(KINDS):
            raise ValueError(f"the schema has a type that is none: {', '.join(sorted(unread))}")
        for part in _parts(schema):
            self._read(part)


def inside(place: str, name: object) -> str:
    return f"{place}.{name}" if place else str(name)


def is_kind(value: Any, kind: str) -> bool:
    """Whether it is of a type of JSON schema's: there a boolean is no number, and 2.0 is an integer."""
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, KINDS[kind])


def equal(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[name]) for name, value in one.items())
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _parts(schema: Mapping[str, Any]) -> Iterator[Any]:
    yield from schema.get("properties", {}).values()
    for keyword in ("anyOf", "oneOf", "allOf"):
        yield from schema.get(keyword, ())
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield schema[keyword]


def _type(value: Any, demand: Any, place: str, _: Reader) -> Complaints:
    kinds = [demand] if isinstance(demand, str) else demand
    if not any(is_kind(value, kind) for kind in kinds):
        yield place, f"must be {' or '.join(kinds)}"


def _enum(value: Any, demand: Any, place: str, _: Reader) -> Complaints:
    if not any(equal(value, allowed) for allowed in demand):
        yield place, f"must be one of {', '.join(map(repr, demand))}"


def _const(value: Any, demand: Any, place: str, _: Reader) -> Complaints:
    if not equal(value, demand):
        yield place, f"must be {demand!r}"


def _required(value: Any, demand: Any, place: str, _: Reader) -> Complaints:
    for name in demand:
        if isinstance(value, dict) and name not in value:
            yield inside(place, name), "is missing"


def _items(value: Any, demand: Any, place: str, reader: Reader) -> Complaints:
    for number, inner in enumerate(value if isinstance(value, list) else ()):
        yield from reader.check(inner, demand, inside(place, number))


def _all_of(value: Any, demand: Any, place: str, reader: Reader) -> Complaints:
    for part in demand:
        yield from reader.check(value, part, place)


def _any_of(value: Any, demand: Any, place: str, reader: Reader) -> Complaints:
    if not any(_fits(value, part, reader) for part in demand):
        yield place, "fits none of the forms allowed"


def _one_of(value: Any, demand: Any, place: str, reader: Reader) -> Complaints:
    fitting = sum(_fits(value, part, reader) for part in demand)
    if fitting != 1:
        yield place, "fits none of the forms allowed" if fitting == 0 else "fits more than one of the forms allowed"


def _fits(value: Any, schema: Any, reader: Reader) -> bool:
    return next(reader.check(value, schema, ""), None) is None


def _bound(kind: type | tuple[type, ...], holds: Callable[[Any, Any], bool], words: str) -> Check:
    def check(value: Any, demand: Any, place: str, _: Reader) -> Complaints:
        if isinstance(value, kind) and not isinstance(value, bool) and not holds(value, demand):
            yield place, words.format(demand)

    return check


NUMBER: Final = (int, float)
CHECKS: Final[Mapping[str, Check]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "required": _required,
    "items": _items,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "minimum": _bound(NUMBER, lambda value, demand: value >= demand, "must be at least {}"),
    "maximum": _bound(NUMBER, lambda value, demand: value <= demand, "must be at most {}"),
    "exclusiveMinimum": _bound(NUMBER, lambda value, demand: value > demand, "must be above {}"),
    "exclusiveMaximum": _bound(NUMBER, lambda value, demand: value < demand, "must be below {}"),
    "minLength": _bound(str, lambda value, demand: len(value) >= demand, "must have at least {} characters"),
    "maxLength": _bound(str, lambda value, demand: len(value) <= demand, "must have at most {} characters"),
    "pattern": _bound(str, lambda value, demand: re.search(demand, value) is not None, "must match {}"),
    "minItems": _bound(list, lambda value, demand: len(value) >= demand, "must have at least {} items"),
    "maxItems": _bound(list, lambda value, demand: len(value) <= demand, "must have at most {} items"),
}
