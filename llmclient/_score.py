"""What somebody thought of an answer, told at any time and from any process: a score of a call, known by its id."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from llmclient._wire import NAME_LENGTH, WORD_LENGTH, instant

BYTES: Final = 400  # as it lies in memory
COMMENT_LENGTH: Final = 500
FIRST: Final = b'{"call_id":'
"""How a score begins on the wire, and no event does."""


@dataclass(frozen=True, slots=True)
class Score:
    """A number between any two, or a word, under a name; the same name given again for a call replaces it."""

    call_id: uuid.UUID
    name: str
    value: float | None
    label: str | None
    comment: str | None
    at_ms: int
    """Unix milliseconds."""

    size = BYTES
    content_size = 0

    def strip_content(self) -> None:
        """There is none."""

    def as_dict(self, clean: Callable[[str], str] = str) -> dict[str, Any]:
        """As the wire spells it; what people wrote goes through `clean` first."""
        wire = {
            "call_id": str(self.call_id),
            "name": self.name,
            "value": self.value,
            "label": None if self.label is None else clean(self.label),
            "comment": None if self.comment is None else clean(self.comment),
            "at": instant(self.at_ms),
        }
        return {name: value for name, value in wire.items() if value is not None}


def score_of(
    call_id: uuid.UUID | str,
    name: str,
    value: float | bool | str,
    comment: str | None = None,
) -> Score:
    """Raises ValueError, naming the field, for what is no score."""
    if not isinstance(call_id, uuid.UUID):
        try:
            call_id = uuid.UUID(call_id)
        except (ValueError, AttributeError, TypeError):
            raise ValueError(f"call_id: {call_id!r} is not the id of a call") from None
    if not name or len(name) > WORD_LENGTH:
        raise ValueError(f"name: must have 1 to {WORD_LENGTH} characters")
    number, label = (None, value) if isinstance(value, str) else (float(value), None)
    if number is not None and not isfinite(number):
        raise ValueError(f"value: {value!r} is not a finite number")
    if label is not None and not 0 < len(label) <= NAME_LENGTH:
        raise ValueError(f"value: a word must have 1 to {NAME_LENGTH} characters")
    said = None if comment is None else comment[:COMMENT_LENGTH]
    return Score(call_id, name, number, label, said, time.time_ns() // 1_000_000)
