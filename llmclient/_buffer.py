"""Calls waiting to be shipped: bounded by count and by bytes, without a lock.

`put` runs in the host's threads and must never wait for the sender, so nothing here is locked. It stands on two
facts: `deque.append` and `deque.popleft` are atomic, and each plain number has one writer. The byte count is the
exception: two threads adding at once may lose one addition, so the sender counts afresh every time it looks.
"""

from collections import deque
from typing import Final

from llmclient._call import Call
from llmclient._score import Score

MAX_EVENTS: Final = 10_000
MAX_BYTES: Final = 16 * 1024 * 1024


class Buffer:
    def __init__(self, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._waiting: deque[tuple[Call | Score, int]] = deque()
        self._pushed_out: deque[None] = deque()  # one per call lost to overflow, not yet counted
        self._overflowed = 0
        self.bytes = 0
        self.taken = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def overflowed(self) -> int:
        """Calls pushed out so far."""
        return self._overflowed + len(self._pushed_out)

    @property
    def emitted(self) -> int:
        """Calls ever put in."""
        return self.taken + len(self._waiting) + self.overflowed

    def put(self, call: Call | Score) -> None:
        """Adds a call; when there is no room its content goes first, then the oldest calls."""
        size = call.size
        if self.bytes + size > self._max_bytes and call.content_size > 0:
            call.strip_content()
            size = call.size
        self._waiting.append((call, size))
        self.bytes += size
        while len(self._waiting) > self._max_events or (self.bytes > self._max_bytes and len(self._waiting) > 1):
            try:
                _, freed = self._waiting.popleft()
            except IndexError:  # the sender was quicker
                return
            self.bytes -= freed
            self._pushed_out.append(None)

    def take(self) -> Call | Score | None:
        """The oldest call; only the sender calls this."""
        try:
            call, size = self._waiting.popleft()
        except IndexError:
            return None
        self.taken += 1
        self.bytes -= size
        return call

    def settle(self) -> None:
        """Counts afresh what the racing threads left slightly wrong; only the sender calls this."""
        for _ in range(len(self._pushed_out)):
            self._pushed_out.popleft()
            self._overflowed += 1
        self.bytes = sum(size for _, size in list(self._waiting))
