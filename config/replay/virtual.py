"""Time without waiting: the fake answers at once, and the client's clock is told how long it would have taken.

The middleware sits between llmclient and the socket, once per attempt. It moves the call's stopwatch on by what the
traffic model drew, in the order things happen: a failed attempt, the first token, the end of the answer.
"""

from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import anthropic
import httpx2

from llmclient.testing.traffic import Call

FIRST_DELTA: Final = b"event: content_block_delta"
LAST_DELTA: Final = b"event: message_delta"


@dataclass(slots=True)
class Stopwatch:
    """The clock of one call, in seconds from its start."""

    call: Call
    seconds: float = 0.0
    attempts: int = 0

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds

    def fail(self) -> None:
        """The attempt failed: as long as its failure takes, and as long as it asks to wait."""
        failures = self.call.fate.failures
        if self.attempts <= len(failures):
            failure = failures[self.attempts - 1]
            self.advance(float(failure.get("delay", 0.0)))


running: ContextVar[Stopwatch | None] = ContextVar("replay_stopwatch", default=None)


class VirtualTime(anthropic.Middleware):
    """Moves the stopwatch in `running`; without one it does nothing."""

    def handle(self, request: anthropic.APIRequest, call_next: Any) -> Any:
        watch = running.get()
        if watch is None:
            return call_next(request)
        watch.attempts += 1
        try:
            result = call_next(request)
        except anthropic.APIConnectionError:
            watch.fail()
            raise
        response = result.http_response
        if not response.is_success:
            watch.fail()
        elif request.stream:
            response.stream = PacedStream(response.stream, watch)
        else:
            watch.advance(watch.call.duration)
        return result


class PacedStream(httpx2.SyncByteStream):
    """The bytes of a stream that came all at once, handed on in three parts with the stopwatch moved in between."""

    def __init__(self, inner: httpx2.SyncByteStream, watch: Stopwatch) -> None:
        self._inner, self._watch = inner, watch

    def __iter__(self) -> Iterator[bytes]:
        data, broke = bytearray(), None
        try:
            for chunk in self._inner:
                data += chunk
        except httpx2.TransportError as error:
            broke = error  # after what came before it
        first, last = data.find(FIRST_DELTA), data.find(LAST_DELTA)
        call = self._watch.call
        if first < 0:
            first = len(data)
        yield bytes(data[:first])
        self._watch.advance(call.ttft)
        if last < 0:
            yield bytes(data[first:])
            self._watch.advance((call.duration - call.ttft) / 2)
        else:
            yield bytes(data[first:last])
            self._watch.advance(call.duration - call.ttft)
            yield bytes(data[last:])
        if broke is not None:
            raise broke

    def close(self) -> None:
        self._inner.close()
