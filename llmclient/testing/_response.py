"""What goes over the socket in answer to a request."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

from llmclient.testing import _messages
from llmclient.testing._answers import Break
from llmclient.testing._messages import Piece

ORGANIZATION: Final = "0fa4e000-0000-4000-8000-000000000000"
SERVER: Final = "llmclient-fake"  # how the fake says that it is one
EVENT_STREAM: Final = "text/event-stream; charset=utf-8"

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Response:
    """With status 0 nothing is sent. Times are seconds of the fake's clock; `breaks` says how it ends early."""

    status: int
    headers: Sequence[tuple[str, str]]
    pieces: Sequence[Piece]
    breaks: Break | None = None
    stall: float = 0.0
    ping_every: float | None = 1.0
    headers_after: float = 0.0
    trickle: float = 0.0
    on_sent: Callable[[int], None] = field(default=lambda _: None)
    """Told how many pieces were sent (at least the first), just before the last of them leaves."""

    @property
    def streamed(self) -> bool:
        return ("content-type", EVENT_STREAM) in self.headers


def hung_up(delay: float) -> Response:
    return Response(0, [], [Piece(delay, b"")], Break.RESET)


def json_response(
    status: int, body: Mapping[str, Any], request_id: str, headers: Headers | None = None, due: float = 0.0
) -> Response:
    return plain(status, _messages.encode(body), request_id, "application/json", headers, due)


def plain(
    status: int, data: bytes, request_id: str, kind: str, headers: Headers | None = None, due: float = 0.0
) -> Response:
    lines = [("content-type", kind), *identity(request_id), *(headers or [])]
    return Response(status, lines, [Piece(due, data)])


def identity(request_id: str) -> Headers:
    """What every answer of the API says of itself."""
    return [
        ("date", format_datetime(datetime.now(UTC), usegmt=True)),
        ("server", SERVER),
        ("request-id", request_id),
        ("anthropic-organization-id", ORGANIZATION),
    ]
