"""What the fake may answer: a reply, a failure, or an answer that breaks off."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final


class Break(StrEnum):
    """How an answer ends before its end."""

    ERROR = "error"  # an `error` event in the stream, after a status of 200
    EOF = "eof"  # the connection is closed in good order, the message is not complete
    RESET = "reset"  # the connection is reset (TCP RST)
    STALL = "stall"  # pings only, for `stall` seconds, then the end of the connection
    MALFORMED = "malformed"  # JSON that is none


@dataclass(frozen=True, slots=True)
class Reply:
    """A message. Times are seconds of the fake's own clock (`speed` seconds of it pass in one real second)."""

    text: str = "ok"
    input_tokens: int | None = None
    """None: estimated from the request's text."""
    output_tokens: int | None = None
    """None: estimated from `text` and `thinking`."""
    usage: Mapping[str, Any] = field(default_factory=dict)
    """Laid over the usage object, for cache tokens, tiers, or keys the fake does not know."""
    stop_reason: str = "end_turn"
    stop_category: str | None = None
    """Why it was refused, with `stop_reason="refusal"`."""
    thinking: str = ""
    model: str | None = None
    """The model that is said to have served; None: the one asked for."""
    ttft: float = 0.0
    """Until the first content delta of a stream."""
    duration: float | None = None
    """Until the last byte; None: at once after `ttft`."""
    pings: int = 1
    """Pings before the first content delta of a stream."""
    deltas: int = 4
    """Into how many content deltas the text is cut."""
    usage_updates: int = 1
    """How many `message_delta` events carry usage; each is cumulative."""
    breaks: Break | None = None
    break_after: int = 1
    """The number of content deltas sent before the break."""
    stall: float = 30.0


@dataclass(frozen=True, slots=True)
class Failure:
    """An error status with the body and headers Anthropic sends with it. `delay`: seconds of the fake's clock."""

    status: int
    type: str
    message: str
    retry_after: float | None = None
    error_code: str | None = None
    delay: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HangUp:
    """The connection is reset before a byte of an answer. `delay`: seconds of the fake's clock."""

    delay: float = 0.0


Answer = Reply | Failure | HangUp

ERROR_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
MESSAGES: Final = {
    408: "The request timed out.",
    429: "This request would exceed your organization's rate limit.",
    500: "Internal server error",
    504: "The request timed out.",
    529: "Overloaded",
}


def reply(text: str = "ok", **more: Any) -> Reply:
    """A message with this text; the other fields are those of `Reply`."""
    return Reply(text, **more)


def fail(
    status: int,
    *,
    type: str | None = None,  # noqa: A002  the API's own word
    message: str | None = None,
    retry_after: float | None = None,
    error_code: str | None = None,
    delay: float = 0.0,
    headers: Mapping[str, str] | None = None,
) -> Failure:
    """An error answer; type and message are what the API says with this status unless given. Seconds."""
    kind = type or ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    text = message or MESSAGES.get(status, f"The fake was told to answer {status}.")
    return Failure(status, kind, text, retry_after, error_code, delay, headers or {})


def spend_limit() -> Failure:
    """The organisation's monthly spend limit is reached: a 429 without `retry-after` that no retry will cure."""
    return fail(
        429,
        message="This organization has reached its spend limit for the month.",
        error_code="enforced_spend_limit_reached",
    )


def own_spend_limit() -> Failure:
    """The limit the customer set is reached: a 400 that is told from other 400s only by how its message begins."""
    return fail(400, message="You have reached your specified API usage limits. You will regain access next month.")


def hang_up(*, delay: float = 0.0) -> HangUp:
    """No answer at all: the connection is reset after `delay` seconds."""
    return HangUp(delay)


def slow(seconds: float, answer: Reply | None = None) -> Reply:
    """An answer whose first content comes after `seconds`."""
    return replace(answer or Reply(), ttft=seconds)


def stalled(seconds: float = 30.0, *, after: int = 0) -> Reply:
    """A stream that sends `after` deltas and then only pings, until the connection ends after `seconds`."""
    return Reply("never to be read in full", breaks=Break.STALL, break_after=after, stall=seconds)


def broken(how: Break | str, *, after: int = 1, text: str = "an answer that breaks off", **more: Any) -> Reply:
    """An answer that breaks off after `after` content deltas, in one of the ways of `Break`."""
    return Reply(text, breaks=Break(how), break_after=after, **more)
