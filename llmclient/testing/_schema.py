"""A value that fits a JSON schema, for structured answers and tool inputs nobody wrote.

Knows what schemas made by pydantic contain: types, enum, const, anyOf, allOf, $ref, formats, lengths and ranges. The
SDK's `parse` moves limits out of the schema into the description, "{minimum: 1, maximum: 5}"; they are read there, as
the model does.
"""

import random
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from llmclient.testing._words import sentences

Schema = Mapping[str, Any]

DEEPEST: Final = 4  # levels down to which what may be left out is there, so that a schema that contains itself ends
TOO_DEEP: Final = 50
TEXT_LENGTH: Final = 24
FORMATS: Final = {
    "date": "2026-11-22",
    "date-time": "2026-11-22T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT15M",
    "email": "ada@mail.example",
    "hostname": "mail.example",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://mail.example/",
    "uuid": "019a0000-0000-7abc-8def-000000000001",
}
# What is tried where a pattern is asked for: making text for any regular expression is more than a fake needs.
TRIED: Final = ("a", "A", "1", "abc", "ABC", "Abc", "12", "123", "1234", "12345", "A1", "AB-123", "1.0", "#abc12f")

LIMITS: Final = re.compile(r"\b(m(?:in|ax)(?:imum|Length|Items)|exclusiveM(?:in|ax)imum|multipleOf): (-?\d+(?:\.\d+)?)")
PATTERN: Final = re.compile(r"\bpattern: (.+?)(?:, [a-zA-Z]+: |$)")
DESCRIBED: Final = re.compile(r"(?:^|\n\n)\{(.+)\}$")


class SchemaError(ValueError):
    """A schema the fake cannot make a value for; the message says which part."""


def example(schema: Schema, dice: random.Random) -> Any:
    """A value that fits `schema`; the same dice give the same value. Raises SchemaError."""
    return _Maker(schema, dice).value(schema, 0)


class _Maker:
    def __init__(self, root: Schema, dice: random.Random) -> None:
        self._root, self._dice = root, dice

    def value(self, schema: Schema, depth: int) -> Any:
        if depth > TOO_DEEP:
            raise SchemaError("a value of this schema contains itself without end")
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._dice.choice(schema["enum"])
        for name in ("anyOf", "oneOf"):
            if name in schema:
                return self._one_of(schema[name], depth)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next((each for each in kind if each != "null"), "null")
        makers: dict[str, Callable[[], Any]] = {
            "object": lambda: self._object(schema, depth),
            "array": lambda: self._array(schema, depth),
            "string": lambda: self._string(schema),
            "integer": lambda: self._integer(schema),
            "number": lambda: self._number(schema),
            "boolean": lambda: self._dice.random() < 0.5,
            "null": lambda: None,
        }
        if kind not in makers:
            raise SchemaError(f"type {kind!r} is none of JSON's")
        return makers[kind]()

    def _resolved(self, schema: Schema) -> Schema:
        """The schema itself: references followed, allOf laid together, what the description demands put back."""
        while "$ref" in schema:
            path = str(schema["$ref"])
            target: Any = self._root
            for part in path.removeprefix("#/").split("/") if path != "#" else ():
                if not isinstance(target, Mapping) or part not in target:
                    raise SchemaError(f"{path} leads nowhere")
                target = target[part]
            schema = {**target, **{name: value for name, value in schema.items() if name != "$ref"}}
        schema = {**_described(str(schema.get("description", ""))), **schema}
        if "allOf" not in schema:
            return schema
        merged: dict[str, Any] = {name: value for name, value in schema.items() if name != "allOf"}
        for part in schema["allOf"]:
            for name, value in self._resolved(part).items():
                if isinstance(value, Mapping):
                    merged[name] = {**value, **merged.get(name, {})}
                elif name == "required":
                    merged[name] = [*value, *merged.get(name, [])]
                else:
                    merged.setdefault(name, value)
        return merged

    def _one_of(self, schemas: list[Schema], depth: int) -> Any:
        # Deep down "or null" is taken, or else a list of lists of lists never ends.
        empty = [schema for schema in schemas if schema.get("type") == "null"]
        full = [schema for schema in schemas if schema.get("type") != "null"]
        return self.value((empty or full)[0] if depth >= DEEPEST or not full else self._dice.choice(full), depth)

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        wanted = schema.get("required", ()) if depth >= DEEPEST else schema.get("properties", {})
        properties = schema.get("properties", {})
        return {name: self.value(properties.get(name, {}), depth + 1) for name in wanted}

    def _array(self, schema: Schema, depth: int) -> list[Any]:
        made = [self.value(part, depth + 1) for part in schema.get("prefixItems", ())]
        items = schema.get("items", {})
        wanted = 0 if depth >= DEEPEST else self._dice.randint(1, 2)
        count = max(int(schema.get("minItems", 0)), min(wanted, int(schema.get("maxItems", wanted))))
        while len(made) < count:
            made.append(self.value(items if isinstance(items, Mapping) else {}, depth + 1))
        return made

    def _string(self, schema: Schema) -> str:
        least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
        if "pattern" in schema:
            for text in TRIED:
                if re.search(schema["pattern"], text) and least <= len(text) <= (most or len(text)):
                    return text
            raise SchemaError(f"no text for the pattern {schema['pattern']!r} comes to mind; script this answer")
        if schema.get("format") in FORMATS:
            return FORMATS[schema["format"]]
        text = sentences(self._dice, min(most, TEXT_LENGTH) if most is not None else max(least, TEXT_LENGTH))
        return text.ljust(least, ".")[:most]

    def _integer(self, schema: Schema) -> int:
        step = int(schema.get("multipleOf", 1))
        low, high = self._range(schema, 1)
        first = -(-int(low) // step) if low == int(low) else int(low // step) + 1
        last = int(high // step)
        if first > last:
            raise SchemaError(f"no whole number lies between {low} and {high}")
        return self._dice.randint(first, last) * step

    def _number(self, schema: Schema) -> float:
        low, high = self._range(schema, 0.001)
        return max(low, min(high, round(self._dice.uniform(low, high), 3)))

    def _range(self, schema: Schema, grain: float) -> tuple[float, float]:
        low, high = schema.get("minimum"), schema.get("maximum")
        if "exclusiveMinimum" in schema:
            low = schema["exclusiveMinimum"] + grain
        if "exclusiveMaximum" in schema:
            high = schema["exclusiveMaximum"] - grain
        if low is None:
            low = 0 if high is None or high >= 0 else high - 100
        return low, low + 100 if high is None else high


def _described(description: str) -> Schema:
    written = DESCRIBED.search(description)
    if written is None:
        return {}
    found: dict[str, Any] = {
        name: float(value) if "." in value else int(value) for name, value in LIMITS.findall(written[1])
    }
    pattern = PATTERN.search(written[1])
    return found if pattern is None else {**found, "pattern": pattern[1]}
