"""Turns finished calls into encoded events as they come, evenly and in small steps: the interpreter is the host's.

A call that is encoded at once takes a few hundred bytes while it waits, instead of some thousands. Encoding is spread
over the time in which the next calls come: every one of the host's calls then meets one short step of it, and none a
long row of them.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from llmclient import _breath
from llmclient._batch import LARGEST_EVENT, Encode, dumps
from llmclient._buffer import Buffer
from llmclient._call import Call
from llmclient._score import Score
from llmclient._waiting import Waiting

SPREAD: Final = 0.25  # seconds over which what waits is encoded
SHORTEST: Final = 0.004  # seconds from one event to the next: of calls made in a tight loop, most meet none
LONGEST: Final = 0.005
MANY: Final = 1_000  # when more wait, the sender catches up, in steps that grow with their number


class Encoding:
    """From the buffer to what waits encoded; `count_loss` is told why an event is lost."""

    def __init__(
        self, buffer: Buffer, waiting: Waiting, encode: Encode, count_loss: Callable[[str, int], None]
    ) -> None:
        self._buffer = buffer
        self._waiting = waiting
        self._encode = encode
        self._count_loss = count_loss
        self._lock = threading.Lock()  # of the sender and, at the end of the process, of who ends it
        self._over = False
        self.hurry = False
        """Set by other threads: somebody waits for the events."""

    def some(self, most: int, *, restful: bool) -> None:
        """Encodes the calls that wait, no more than `most` of them; `restful` gives way to the host all the time."""
        count = min(len(self._buffer), most)
        if not count:
            return
        if not restful or self.hurry:
            self._row(count, 0.0)
            return
        waiting = len(self._buffer)
        each = min(max(SPREAD / count, SHORTEST), LONGEST) if waiting <= MANY else 0.0
        _breath.in_steps(lambda: self._row(count, each), _breath.STEP * max(waiting / MANY, 1.0))

    def _row(self, count: int, each: float) -> None:
        """So many calls, one every `each` seconds."""
        due = time.perf_counter()
        for _ in range(count):
            with self._lock:
                if self._over or not self._next():
                    return
            due += each
            if self.hurry:
                _breath.stop()
            _breath.until(due)

    def rest_of_all(self, time_left: Callable[[], float]) -> int:
        """At the end of the process: encodes everything while there is time; returns how many calls are left over.

        When little time is left, calls go without their content, which is most of the work.
        """
        enough = time_left() / 2
        # The sender may be in the middle of an event; should it hang there, the rest is lost, and counted.
        if not self._lock.acquire(timeout=max(enough, 0.01)):
            return len(self._buffer)
        try:
            self._over = True
            _breath.stop()
            while len(self._buffer) and time_left() > 0:
                self._next(slim=time_left() < enough)
        finally:
            self._lock.release()
        return len(self._buffer)

    def _next(self, *, slim: bool = False) -> bool:
        call = self._buffer.take()
        if call is None:
            return False
        event = self._encoded(call, slim=slim or self._waiting.is_nearly_full)
        if event is not None and (gone := self._waiting.add(event)):
            self._count_loss("overflow", gone)
        return True

    def _encoded(self, call: Call | Score, *, slim: bool) -> bytes | None:
        try:
            if slim and isinstance(call, Call):
                call.capture = "off"
            found = self._encode(call)
            _breath.take()
            event = dumps(found)
            if len(event) > LARGEST_EVENT:
                call.strip_content()
                event = dumps(self._encode(call))
        except Exception:  # noqa: BLE001  # whatever the host put into its labels: one event is lost, and counted
            self._count_loss("encode_error", 1)
            return None
        if len(event) > LARGEST_EVENT:
            self._count_loss("too_large", 1)
            return None
        return event
