"""The form an answer is to have: what to ask the API for, how to read a text, and what is wrong with one."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, get_origin

from llmclient._schema import Reader

T = TypeVar("T")

MOST_COMPLAINTS: Final = 5
LENGTH: Final = 200  # characters of one complaint
FENCED: Final = re.compile(r"\s*```(?:json)?[ \t]*\n(.*)\n[ \t]*```\s*", re.DOTALL)
# What code that reads data raises when the data are wrong; pydantic's errors and json's are ValueErrors.
MISFITS: Final = (ValueError, TypeError, LookupError, AssertionError, RecursionError)


class Misfit(ValueError):  # noqa: N818  # it reads as what it is
    """A text is not in the form; `complaints` say where and why."""

    def __init__(self, complaints: Iterable[str]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("; ".join(self.complaints))


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """`read` gives the value a text stands for, and raises one of MISFITS where it stands for none."""

    read: Callable[[str], T]
    schema: Mapping[str, Any] | None = None
    """For the API, as strict as it takes one; None: the API is not told."""


def form_of(wanted: Any) -> Form[Any]:
    """The form of a pydantic model or another type, of a JSON schema, or of a function that reads the text.

    ValueError for a schema that cannot be checked in full, or not be sent.
    """
    from anthropic import transform_schema  # noqa: PLC0415  # the SDK is loaded by now

    if isinstance(wanted, Mapping):
        return Form(_by_schema(wanted), transform_schema(dict(wanted)))
    if not isinstance(wanted, type) and get_origin(wanted) is None and callable(wanted):
        return Form(wanted)
    from pydantic import TypeAdapter  # noqa: PLC0415

    adapter: Any = TypeAdapter(wanted)
    return Form(lambda text: adapter.validate_json(bare(text)), transform_schema(adapter.json_schema()))


def bare(text: str) -> str:
    """JSON without the fence it is sometimes put in."""
    fenced = FENCED.fullmatch(text)
    return fenced[1] if fenced else text


def complaints_of(error: Exception) -> tuple[str, ...]:
    """What is wrong, for a person and for Claude: at most five complaints, each short."""
    from pydantic import ValidationError  # noqa: PLC0415  # it comes with the SDK

    if isinstance(error, Misfit):
        found = list(error.complaints)
    elif isinstance(error, ValidationError):
        each = error.errors(include_url=False, include_context=False, include_input=False)
        found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" if one["loc"] else one["msg"] for one in each]
    else:
        found = [f"{type(error).__name__}: {error}"]
    rest = len(found) - MOST_COMPLAINTS
    shown = [complaint[:LENGTH] for complaint in found[:MOST_COMPLAINTS]]
    return (*shown, f"and {rest} more") if rest > 0 else tuple(shown)


def _by_schema(schema: Mapping[str, Any]) -> Callable[[str], Any]:
    reader = Reader(schema)

    def read(text: str) -> Any:
        value = json.loads(bare(text))
        found = [f"{place}: {reason}" if place else reason for place, reason in reader.complaints(value)]
        if found:
            raise Misfit(found)
        return value

    return read
