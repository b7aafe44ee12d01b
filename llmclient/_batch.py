"""Events on their way: encoded one by one, sent together."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from llmclient._call import Call
from llmclient._score import FIRST, Score
from llmclient._spool import Segment

MAX_EVENTS: Final = 500
MAX_BYTES: Final = 1024 * 1024
LARGEST_EVENT: Final = 900 * 1024

_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)

Encode = Callable[[Call | Score], dict[str, Any]]


@dataclass(slots=True)
class Batch:
    """Encoded events that are sent, stored or dropped together."""

    events: list[bytes] = field(default_factory=list)
    """Calls, and scores of calls."""
    header: dict[str, Any] | None = None
    """Of the process that measured them, when it was an earlier one."""
    segment: Segment | None = None
    """Where they lie on disk, when they came from there."""

    def body(self, header: dict[str, Any], sent_at: str) -> bytes:
        client = json.dumps({**(self.header or header), "sent_at": sent_at}).encode()
        scores = [line for line in self.events if line.startswith(FIRST)]
        events = self.events if not scores else [line for line in self.events if not line.startswith(FIRST)]
        parts = [b'{"client":', client, b',"events":[', b",".join(events), b"]"]
        parts += [b',"scores":[', b",".join(scores), b"]}"] if scores else [b"}"]
        # Level 1: a third of the CPU of level 6 for a fifth more bytes. zlib lets go of the interpreter meanwhile.
        return gzip.compress(b"".join(parts), 1, mtime=0)

    def halves(self) -> tuple["Batch", "Batch"]:
        middle = len(self.events) // 2
        if self.segment is not None:
            self.segment.parts += 1
        return (
            Batch(self.events[:middle], self.header, self.segment),
            Batch(self.events[middle:], self.header, self.segment),
        )


def dumps(event: dict[str, Any]) -> bytes:
    """JSON as the wire takes it: no NaN, ASCII only (a lone surrogate survives as an escape)."""
    return _ENCODER.encode(event).encode()


def without_content(event: bytes) -> bytes | None:
    """The event without its content; None when it had none to give up."""
    fields = json.loads(event)
    return dumps(fields) if fields.pop("content", None) is not None else None
