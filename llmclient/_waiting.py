"""Encoded events that wait to be sent: as they are while they are few, packed in blocks when there are many.

Only the sender's thread touches it. Packed they take about a quarter of their bytes, prompts and answers included.
"""

import zlib
from collections import deque
from typing import Final, NamedTuple

MAX_EVENTS: Final = 10_000
MAX_BYTES: Final = 8 * 1024 * 1024  # as they lie in memory
BLOCK_EVENTS: Final = 250
BLOCK_BYTES: Final = 512 * 1024
EVENT_BYTES: Final = 41  # of an event that is not packed, beside its letters
_LINE: Final = b"\n"  # in no event: JSON escapes it


class _Block(NamedTuple):
    data: bytes
    events: int


class Waiting:
    """First in, first out."""

    def __init__(self, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._first: deque[bytes] = deque()  # what was unpacked and not yet taken
        self._packed: deque[_Block] = deque()
        self._last: list[bytes] = []
        self._last_bytes = 0
        self._events = 0
        self.bytes = 0

    def __len__(self) -> int:
        return self._events

    @property
    def is_nearly_full(self) -> bool:
        """Whether there is no more room for content."""
        return self.bytes > self._max_bytes * 3 // 4

    def add(self, event: bytes) -> int:
        """Adds an event; returns how many of the oldest had to go for it."""
        self._last.append(event)
        self._last_bytes += len(event) + EVENT_BYTES
        self.bytes += len(event) + EVENT_BYTES
        self._events += 1
        if len(self._last) >= BLOCK_EVENTS or self._last_bytes >= BLOCK_BYTES:
            self._pack()
        gone = 0
        while self._events > self._max_events or (self.bytes > self._max_bytes and self._events > 1):
            gone += self._drop_oldest()
        return gone

    def take(self, most_events: int, most_bytes: int) -> list[bytes]:
        """The oldest events: as many as are allowed, the last of them may be one too large."""
        out: list[bytes] = []
        size = 0
        while len(out) < most_events and size < most_bytes and (event := self._pop()) is not None:
            out.append(event)
            size += len(event)
        return out

    def _pop(self) -> bytes | None:
        if not self._first:
            if self._packed:
                block = self._packed.popleft()
                self._first.extend(zlib.decompress(block.data).split(_LINE))
                self.bytes += sum(map(len, self._first)) + EVENT_BYTES * block.events - len(block.data)
            else:
                self._first.extend(self._last)
                self._last, self._last_bytes = [], 0
        if not self._first:
            return None
        event = self._first.popleft()
        self._events -= 1
        self.bytes -= len(event) + EVENT_BYTES
        return event

    def _pack(self) -> None:
        # Level 1, as for the network. zlib lets go of the interpreter meanwhile.
        block = _Block(zlib.compress(_LINE.join(self._last), 1), len(self._last))
        self.bytes += len(block.data) - self._last_bytes
        self._packed.append(block)
        self._last, self._last_bytes = [], 0

    def _drop_oldest(self) -> int:
        """A block where there is one: to take a single event out of it, it would have to be unpacked."""
        if self._first or not self._packed:
            self._pop()
            return 1
        block = self._packed.popleft()
        self._events -= block.events
        self.bytes -= len(block.data)
        return block.events
