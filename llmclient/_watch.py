"""Follows the body of an answer while it is read, and says when it broke off or took too long."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import anthropic

from llmclient._call import Call, Failure, Outcome
from llmclient._errors import category
from llmclient._exceptions import DeadlineExceeded, StreamInterrupted
from llmclient._recording import failure_of
from llmclient._sse import StreamReader

if TYPE_CHECKING:
    import httpx2

LARGEST_BODY: Final = 8 * 1024 * 1024  # of a plain answer that is read piece by piece
END: Final = GeneratorExit()  # instead of an error that came after the message was complete
NEVER: Final = float("inf")


class Listener(Protocol):
    """Who wants to know how a body ended. Told once; `reader` or `body` hold what was seen of it."""

    def stream_over(self, reader: StreamReader, outcome: Outcome, failure: Failure | None) -> None: ...

    def body_over(self, body: bytes | None, outcome: Outcome, failure: Failure | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a stream may take, on the clock of `now`: instants, and `idle` in seconds."""

    now: Callable[[], float]
    first_token_at: float = NEVER
    idle: float = NEVER
    total_at: float = NEVER


class StreamWatch:
    """Watches a streamed message. `decode` undoes the content encoding of one chunk; None when there is none."""

    __slots__ = (
        "_call",
        "_clock",
        "_decode",
        "_listener",
        "_patience",
        "_progress",
        "_progress_at",
        "_request",
        "_seen",
        "due_at",
        "now",
        "reader",
        "told",
    )

    def __init__(
        self,
        listener: Listener,
        call: Call,
        request: "httpx2.Request",
        *,
        decode: Callable[[bytes], bytes] | None,
        clock: Callable[[], float],
        patience: Patience,
    ) -> None:
        self._listener = listener
        self._call = call
        self._request = request
        self._decode = decode
        self._clock = clock
        self._patience = patience
        self.now = patience.now
        self.reader = StreamReader()
        self._seen = False
        self.told = False
        """Whether the listener has heard how it ended."""
        self._progress = 0
        self._progress_at = patience.now()
        self.due_at = min(patience.total_at, self._progress_at + patience.idle, patience.first_token_at)
        """When the stream is overdue unless something comes."""

    @property
    def shown(self) -> bool:
        """Whether there is something for the caller to see: from then on nothing can be tried again."""
        return self.reader.has_content or self.reader.stopped

    def feed(self, chunk: bytes) -> tuple[bytes, BaseException | None]:
        """What to pass on of the chunk, and what to raise after it."""
        self._seen = True
        reader, decode, now = self.reader, self._decode, self.now()
        cut = reader.feed(decode(chunk) if decode else chunk, now if self._clock is self.now else self._clock())
        if reader.stopped and not self.told:
            self._tell("ok")
        if cut is not None and decode is None:
            # In a compressed chunk the error event cannot be cut off: the SDK reads it and raises its own error.
            return chunk[:cut], self._broke_off(None)
        self._note_progress(now)
        return chunk, None if now < self.due_at else self._overdue()

    def ended(self) -> BaseException | None:
        """The body came to its end."""
        if self.reader.stopped or (self._seen and not self.reader.events):
            # Bytes in which no event was found are not a stream of messages; leave them to the caller.
            self._tell("ok")
            return None
        return self._overdue() or self._broke_off(None)

    def failed(self, error: BaseException) -> BaseException:
        """Reading the body raised; returns what to raise instead."""
        if self.reader.stopped:
            return END if isinstance(error, Exception) else error
        if not isinstance(error, Exception):
            self._cancelled()
            return error
        overdue = self._overdue()
        if overdue is not None:
            overdue.__cause__ = error
            return overdue
        if not self.shown and "Timeout" in type(error).__name__:
            return self._timed_out(error)
        return self._broke_off(error)

    def closed(self) -> None:
        """The caller is done with the body."""
        if self.reader.error is not None:
            self._broke_off(None)
        elif not self.reader.stopped:
            self._cancelled()

    def give_up(self) -> None:
        """The stream could not be followed; the call is known to have been answered and no more."""
        if not self.told:
            self.told = True
            self._listener.body_over(None, "ok", None)

    def _overdue(self) -> BaseException | None:
        """Pings reset the timeout of the socket, so the time is looked at with every chunk."""
        patience = self._patience
        if self.reader.stopped:
            return None
        now = self.now()
        self._note_progress(now)
        if now >= patience.total_at:
            return self._too_late()
        if not self.shown and now >= patience.first_token_at:
            return self._timed_out(None)
        if now - self._progress_at >= patience.idle:
            return self._timed_out(None) if not self.shown else self._broke_off(None, idle=True)
        return None

    def _note_progress(self, now: float) -> None:
        reader, patience = self.reader, self._patience
        progress = reader.events - reader.pings
        if progress != self._progress:
            self._progress, self._progress_at = progress, now
            due_at = now + patience.idle
            if due_at > patience.total_at:
                due_at = patience.total_at
            if not reader.has_content and due_at > patience.first_token_at:
                due_at = patience.first_token_at
            self.due_at = due_at

    def _too_late(self) -> DeadlineExceeded:
        message = "The time for the call was used up before the stream ended"
        self._tell("error", Failure("deadline_exceeded", "total_timeout", status=200, message=message))
        late = DeadlineExceeded(message, partial=self.reader.text())
        late.call = self._call
        return late

    def _timed_out(self, cause: Exception | None) -> anthropic.APITimeoutError:
        self._tell("error", Failure("timeout", "first_token_timeout", status=200))
        error = anthropic.APITimeoutError(self._request)
        error.__cause__ = cause
        return error

    def _cancelled(self) -> None:
        self._tell("cancelled", Failure("cancelled"))

    def _broke_off(self, cause: Exception | None, *, idle: bool = False) -> StreamInterrupted:
        said = self.reader.error
        if said is not None:
            type_, message = said.get("type"), f"The stream broke off: {said.get('message') or said.get('type')}"
        elif cause is not None:
            type_, message = type(cause).__name__, f"The stream broke off: {type(cause).__name__}"
        elif idle:
            type_, message = "idle_timeout", "The stream broke off: nothing but pings came for too long"
        else:
            type_, message = "eof", "The stream ended before the message did"
        self._tell("error", Failure("stream_interrupted", type_, status=200, message=message))
        body = None if said is None else {"type": "error", "error": said}
        interruption = StreamInterrupted(message, self._request, body=body, partial=self.reader.text())
        interruption.call = self._call
        interruption.__cause__ = cause
        return interruption

    def _tell(self, outcome: Outcome, failure: Failure | None = None) -> None:
        if not self.told:
            self.told = True
            self._listener.stream_over(self.reader, outcome, failure)


class BodyWatch:
    """Watches a body that is no stream of events: a plain answer the application reads itself, or another format.

    Only a `readable` one, JSON, is looked into.
    """

    shown = True
    due_at = NEVER

    def __init__(self, listener: Listener, *, decode: Callable[[bytes], bytes] | None, readable: bool) -> None:
        self._listener = listener
        self._readable = readable
        self._decode = decode
        self._parts: list[bytes] = []
        self._size = 0
        self.now = time.monotonic
        self.told = False

    def feed(self, chunk: bytes) -> tuple[bytes, None]:
        self._size += len(chunk)
        if self._readable and self._size <= LARGEST_BODY:
            self._parts.append(self._decode(chunk) if self._decode else chunk)
        return chunk, None

    def ended(self) -> None:
        whole = self._readable and self._size <= LARGEST_BODY
        self._tell(b"".join(self._parts) if whole else None, "ok")

    def failed(self, error: BaseException) -> BaseException:
        found = category(error)
        self._tell(None, "cancelled" if found == "cancelled" else "error", failure_of(error, found))
        return error

    def closed(self) -> None:
        self._tell(None, "cancelled", Failure("cancelled"))

    def give_up(self) -> None:
        self._tell(None, "ok")

    def _tell(self, body: bytes | None, outcome: Outcome, failure: Failure | None = None) -> None:
        if not self.told:
            self.told = True
            self._listener.body_over(body, outcome, failure)


Watch = StreamWatch | BodyWatch


def decoder(encoding: str) -> Callable[[bytes], bytes] | None:
    """Undoes a content encoding chunk by chunk, with the decoders the SDK's own HTTP client uses."""
    if encoding in ("", "identity"):
        return None
    from httpx2 import _decoders  # noqa: PLC0415  # only a compressed stream needs it; there is no public way in

    inner: Any = _decoders.SUPPORTED_DECODERS[encoding]()
    return lambda chunk: b"".join(inner.decode(chunk))
