"""The careful way through a body that the straight decoder refused: find the bad event, keep its siblings.

Accepts what Python's parser accepts (NaN, huge numbers, lone surrogates), so that one such value costs one event and
not a batch; what PostgreSQL or JSON cannot hold is then either replaced or named. A key given twice: the last counts,
here as in the straight decoder.
"""

import json
import math
import re
from typing import Any, Final

import msgspec

MOST_DEPTH: Final = 64
"""Levels of nesting of the whole body. Prompts and responses travel as strings, so an honest batch has six."""
MOST_TOKENS: Final = 500_000
"""Strings, brackets and commas in one body. A thousand full events have about 300,000; each costs a hundred bytes."""

_LARGEST_INT: Final = 2**63 - 1
# A string may lack its end: then it takes the rest, so that no text makes the scan start over and over.
_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.?)*+"?|[\[\]{},]', re.DOTALL)
_UNSTORABLE_CHARACTER: Final = re.compile("[\x00\ud800-\udfff]")
_MESSAGE: Final = re.compile(r"(?P<reason>.*?)(?: - at (?:`key` in )?`\$(?P<path>[^`]*)`)?")
_MISSING: Final = re.compile(r"Object missing required field `(?P<name>\w+)`")


class UnstorableError(ValueError):
    """A value that can be read but never stored; `field` is where it is."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class _Poison:
    """Stands in a parsed document where something was that must not be there."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


_NOT_FINITE: Final = _Poison("NaN and Infinity are not JSON numbers")
_TOO_LARGE: Final = _Poison("a number this large cannot be stored")
_TOO_DEEP: Final = _Poison(f"nested deeper than {MOST_DEPTH} levels")
# Stands for a subtree that was cut off; as a number it is one that could not be stored anyhow.
_CUT: Final = "6464646464646464646464646464646464646464"


def depth_of(text: str) -> int:
    """How many levels of lists and objects the JSON text nests."""
    depth = deepest = 0
    for token in _TOKEN.finditer(text):
        bracket = token.group()
        if bracket in {"[", "{"}:
            depth += 1
            deepest = max(deepest, depth)
        elif bracket in {"]", "}"}:
            depth -= 1
    return deepest


def parse(body: bytes) -> Any:
    """The document, with poison where it holds what JSON cannot. Raises ValueError in plain words."""
    text = _cut_below(body.decode("utf-8", "surrogateescape"))
    try:
        return json.loads(text, parse_constant=_constant, parse_int=_int)
    except json.JSONDecodeError as error:
        raise ValueError(f"The body is not JSON: {error.msg} at character {error.pos:,}.") from error


def clean(value: object) -> tuple[Any, bool]:
    """The value with NUL and lone surrogates replaced by U+FFFD, and whether any were. Raises UnstorableError."""
    cleaner = _Cleaner()
    return cleaner.clean(value, ""), cleaner.is_changed


def quoted(text: str, *, most: int) -> str:
    """The beginning of a text somebody sent us, fit to be sent back."""
    return _UNSTORABLE_CHARACTER.sub("\ufffd", text[:most])


class _Cleaner:
    def __init__(self) -> None:
        self.is_changed = False

    def clean(self, value: Any, field: str) -> Any:
        match value:
            case str():
                return self._text(value)
            case dict():
                return {self._text(key): self.clean(item, _join(field, key)) for key, item in value.items()}
            case list():
                return [self.clean(item, f"{field}[{place}]") for place, item in enumerate(value)]
            case _Poison():
                raise UnstorableError(field, value.reason)
            case float() if not math.isfinite(value):
                raise UnstorableError(field, _TOO_LARGE.reason)
            case _:
                return value

    def _text(self, text: str) -> str:
        replaced, count = _UNSTORABLE_CHARACTER.subn("\ufffd", text)
        self.is_changed = self.is_changed or count > 0
        return replaced


def field_and_reason(error: msgspec.ValidationError) -> tuple[str, str]:
    """Where and why, out of the decoder's message: `Expected int >= 0 - at $.duration_ms`."""
    match = _MESSAGE.fullmatch(str(error))
    assert match is not None
    field = (match["path"] or "").removeprefix(".")
    missing = _MISSING.fullmatch(match["reason"])
    if missing:
        return _join(field, missing["name"]), "is required"
    return field, match["reason"].replace("`", "")


def _cut_below(text: str) -> str:
    """Replaces every subtree deeper than MOST_DEPTH, so that the parser's own recursion is bounded."""
    depth = 0
    kept: list[str] = []
    start = 0
    for number, token in enumerate(_TOKEN.finditer(text)):
        if number > MOST_TOKENS:
            raise ValueError(
                f"The body has more than {MOST_TOKENS:,} strings, brackets and commas; send smaller batches."
            )
        bracket = token.group()
        if bracket in {"[", "{"}:
            depth += 1
            if depth == MOST_DEPTH + 1:
                kept += (text[start : token.start()], _CUT)
        elif bracket in {"]", "}"}:
            depth -= 1
            if depth == MOST_DEPTH:
                start = token.end()
    # A body that ends inside a subtree that is too deep is not JSON, and stays so.
    kept.append(text[start:] if depth <= MOST_DEPTH else "")
    return "".join(kept)


def _constant(_name: str) -> _Poison:
    return _NOT_FINITE


def _int(digits: str) -> int | _Poison:
    if digits == _CUT:
        return _TOO_DEEP
    # Twenty characters hold every 64-bit number with its sign.
    number = int(digits) if len(digits) <= 20 else _LARGEST_INT + 1
    return number if abs(number) <= _LARGEST_INT else _TOO_LARGE


def _join(field: str, name: object) -> str:
    return f"{field}.{name}" if field else str(name)
