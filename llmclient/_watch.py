"""Follows the body of an answer while the application reads it, and says when it broke off."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from llmclient._call import Failure
from llmclient._exceptions import StreamInterrupted
from llmclient._recording import Recording
from llmclient._sse import StreamReader

if TYPE_CHECKING:
    import httpx2

LARGEST_BODY: Final = 8 * 1024 * 1024  # of a plain answer that is read piece by piece
END: Final = GeneratorExit()  # instead of an error that came after the message was complete


class StreamWatch:
    """Watches a streamed message. `decode` undoes the content encoding of one chunk; None when there is none."""

    def __init__(
        self,
        recording: Recording,
        request: "httpx2.Request",
        *,
        decode: Callable[[bytes], bytes] | None,
        clock: Callable[[], float],
    ) -> None:
        self._recording = recording
        self._request = request
        self._decode = decode
        self._clock = clock
        self._reader = StreamReader()
        self._seen = False

    def feed(self, chunk: bytes) -> tuple[bytes, StreamInterrupted | None]:
        """What to pass on of the chunk, and what to raise after it."""
        self._seen = True
        reader = self._reader
        stopped = reader.stopped
        cut = reader.feed(self._decode(chunk) if self._decode else chunk, self._clock())
        if reader.stopped and not stopped:
            self._recording.read(reader, "ok")
        if cut is None or self._decode is not None:
            # In a compressed chunk the error event cannot be cut off: the SDK reads it and raises its own error.
            return chunk, None
        return chunk[:cut], self._broke_off(None)

    def ended(self) -> StreamInterrupted | None:
        """The body came to its end."""
        if self._reader.stopped or (self._seen and not self._reader.events):
            # Bytes in which no event was found are not a stream of messages; leave them to the caller.
            self._recording.read(self._reader, "ok")
            return None
        return self._broke_off(None)

    def failed(self, error: BaseException) -> BaseException:
        """Reading the body raised; returns what to raise instead."""
        if self._reader.stopped:
            return END if isinstance(error, Exception) else error
        if not isinstance(error, Exception):
            self._cancelled()
            return error
        return self._broke_off(error)

    def closed(self) -> None:
        """The caller is done with the body."""
        if self._reader.error is not None:
            self._broke_off(None)
        elif not self._reader.stopped:
            self._cancelled()

    def give_up(self) -> None:
        """The stream could not be followed; the call is known to have been answered and no more."""
        self._recording.unseen()

    def _cancelled(self) -> None:
        self._recording.read(self._reader, "cancelled", Failure("cancelled"))

    def _broke_off(self, cause: Exception | None) -> StreamInterrupted:
        said = self._reader.error
        if said is not None:
            type_, message = said.get("type"), f"The stream broke off: {said.get('message') or said.get('type')}"
        elif cause is not None:
            type_, message = type(cause).__name__, f"The stream broke off: {type(cause).__name__}"
        else:
            type_, message = "eof", "The stream ended before the message did"
        failure = Failure("stream_interrupted", type_, status=200, message=message)
        self._recording.read(self._reader, "error", failure)
        body = None if said is None else {"type": "error", "error": said}
        interruption = StreamInterrupted(message, self._request, body=body, partial=self._reader.text())
        interruption.call = self._recording.call
        interruption.__cause__ = cause
        return interruption


class BodyWatch:
    """Watches a body that is no stream of events: a plain answer the application reads itself, or another format.

    Only a `readable` one, JSON, is looked into.
    """

    def __init__(self, recording: Recording, *, decode: Callable[[bytes], bytes] | None, readable: bool) -> None:
        self._recording = recording
        self._readable = readable
        self._decode = decode
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> tuple[bytes, None]:
        self._size += len(chunk)
        if self._readable and self._size <= LARGEST_BODY:
            self._parts.append(self._decode(chunk) if self._decode else chunk)
        return chunk, None

    def ended(self) -> None:
        if self._readable and self._size <= LARGEST_BODY:
            self._recording.complete(b"".join(self._parts))
        else:
            self._recording.unseen()

    def failed(self, error: BaseException) -> BaseException:
        self._recording.raised(error, final=True)
        return error

    def closed(self) -> None:
        self._recording.cancelled()

    def give_up(self) -> None:
        self._recording.unseen()


Watch = StreamWatch | BodyWatch


def decoder(encoding: str) -> Callable[[bytes], bytes] | None:
    """Undoes a content encoding chunk by chunk, with the decoders the SDK's own HTTP client uses."""
    if encoding in ("", "identity"):
        return None
    from httpx2 import _decoders  # noqa: PLC0415  # only a compressed stream needs it; there is no public way in

    inner: Any = _decoders.SUPPORTED_DECODERS[encoding]()
    return lambda chunk: b"".join(inner.decode(chunk))
