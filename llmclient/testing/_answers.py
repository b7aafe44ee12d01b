"""What the fake may answer: a reply, a failure, or an answer that breaks off. One small constructor for each fault."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Literal

RefusalCategory = Literal["cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"]

DAY: Final = 86_400.0  # seconds


class Break(StrEnum):
    """How an answer ends before its end."""

    ERROR = "error"  # an `error` event in the stream, after a status of 200
    EOF = "eof"  # the connection is closed in good order, the message is not complete
    RESET = "reset"  # the connection is reset (TCP RST)
    STALL = "stall"  # pings only, for `stall` seconds, then the end of the connection
    MALFORMED = "malformed"  # JSON that is none


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool the answer wants to be used, with its input. `id` None: made up."""

    name: str
    input: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A message. Times are seconds of the fake's own clock (`speed` seconds of it pass in one real second)."""

    text: str = "ok"
    input_tokens: int | None = None
    """None: estimated from the request's text."""
    output_tokens: int | None = None
    """None: estimated from `text`, `thinking` and the input of `tools`."""
    usage: Mapping[str, Any] = field(default_factory=dict)
    """Laid over the usage object, for cache tokens, tiers, or keys the fake does not know."""
    stop_reason: str = "end_turn"
    stop_category: str | None = None
    """Why it was refused, with `stop_reason="refusal"`."""
    explanation: str | None = None
    """The same in words."""
    thinking: str = ""
    tools: Sequence[ToolUse] = ()
    """Follow the text; an empty text is left out."""
    model: str | None = None
    """The model that is said to have served; None: the one asked for."""
    ttft: float = 0.0
    """Until the first content delta of a stream."""
    duration: float | None = None
    """Until the last byte; None: at once after `ttft`."""
    headers_after: float = 0.0
    """Until the status line and the headers; all other times count from then."""
    trickle: float = 0.0
    """Between two bytes, headers included; 0: they leave together."""
    pings: int = 1
    """Pings before the first content delta of a stream."""
    deltas: int = 4
    """Into how many content deltas each block is cut."""
    usage_updates: int = 1
    """How many `message_delta` events carry usage; each is cumulative."""
    breaks: Break | None = None
    break_after: int = 1
    """The number of content deltas sent before the break."""
    stall: float = 30.0
    ping_every: float | None = 1.0
    """Between the pings of a stalled stream; None: silence."""


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


def structured(value: object, **more: Any) -> Reply:
    """A message whose text is `value` as JSON, whether it fits the schema asked for or not."""
    return Reply(json.dumps(value, ensure_ascii=False), **more)


def invalid_json(text: str = '{"answer": ', **more: Any) -> Reply:
    """A message of status 200 whose text should have been JSON and is none."""
    return Reply(text, **more)


def tool_use(name: str, input: Mapping[str, Any] | None = None, *, text: str = "", **more: Any) -> Reply:  # noqa: A002
    """A message that ends with the use of one tool; for several: `reply("", tools=[…], stop_reason="tool_use")`."""
    return Reply(text, tools=(ToolUse(name, input or {}),), stop_reason="tool_use", **more)


def refused(category: RefusalCategory | None = "general_harms", explanation: str | None = None, **more: Any) -> Reply:
    """A refusal: an answer of status 200 without text."""
    return Reply("", stop_reason="refusal", stop_category=category, explanation=explanation, **more)


def cut_short(text: str = "an answer that was not", **more: Any) -> Reply:
    """An answer that ended because `max_tokens` were written."""
    return Reply(text, stop_reason="max_tokens", **more)


def fail(
    status: int,
    *,
    type: str | None = None,  # noqa: A002  the API's own word
    message: str | None = None,
    retry_after: float | None = None,
    error_code: str | None = None,
    should_retry: bool | None = None,
    delay: float = 0.0,
    headers: Mapping[str, str] | None = None,
) -> Failure:
    """An error answer; type and message are what the API says with this status unless given. Seconds.

    `should_retry` is the header `x-should-retry`, which overrules what the SDK makes of the status.
    """
    kind = type or ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    text = message or MESSAGES.get(status, f"The fake was told to answer {status}.")
    told = {} if should_retry is None else {"x-should-retry": str(should_retry).lower()}
    return Failure(status, kind, text, retry_after, error_code, delay, {**told, **(headers or {})})


def rate_limited(retry_after: float | None = None) -> Failure:
    """A 429, by default without the header that says when to come back."""
    return fail(429, retry_after=retry_after)


def ramp_limited(retry_after: float = 30.0) -> Failure:
    """A 429 because usage grew too fast, with room left under every limit."""
    message = "This request would exceed the limit on how fast your usage may grow."
    return fail(429, message=message, retry_after=retry_after, error_code="ramp_limit_exceeded")


def overloaded(retry_after: float | None = None) -> Failure:
    """A 529: the API has no room for anybody."""
    return fail(529, retry_after=retry_after)


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


def slow_headers(seconds: float, answer: Reply | None = None) -> Reply:
    """An answer of which nothing comes for `seconds`, of a stream not even its status."""
    return replace(answer or Reply(), headers_after=seconds)


def trickled(every: float, answer: Reply | None = None) -> Reply:
    """An answer that comes a byte at a time, one every `every` seconds: no read timeout ever strikes."""
    return replace(answer or Reply(), trickle=every)


def stalled(seconds: float = 30.0, *, after: int = 0, ping_every: float | None = 1.0) -> Reply:
    """A stream that sends `after` deltas and then only pings, until the connection ends after `seconds`.

    Each ping resets a read timeout; with `ping_every=None` there are none.
    """
    text = "never to be read in full"
    return Reply(text, breaks=Break.STALL, break_after=after, stall=seconds, ping_every=ping_every)


def broken(how: Break | str, *, after: int = 1, text: str = "an answer that breaks off", **more: Any) -> Reply:
    """An answer that breaks off after `after` content deltas, in one of the ways of `Break`."""
    return Reply(text, breaks=Break(how), break_after=after, **more)


def expired() -> Reply:
    """For a request of a batch: it is not answered within the day a batch may take."""
    return Reply(duration=DAY + 1)


@dataclass(frozen=True, slots=True)
class Burst:
    """A stretch of time in which messages get `answer`, whatever the script says.

    `after` and `lasting` are seconds of the fake's clock, from the moment the burst is scheduled; `share` is how many
    of the messages it strikes.
    """

    answer: Answer
    after: float
    lasting: float
    share: float = 1.0


def burst(after: float = 0.0, lasting: float = 60.0, *, answer: Answer | None = None, share: float = 1.0) -> Burst:
    """A burst of 529s, or of another answer, for `FakeAnthropic(schedule=[…])` and `fake.schedule(…)`."""
    if not 0 < share <= 1:
        raise ValueError(f"share: {share} must be above 0 and at most 1")
    return Burst(answer or overloaded(), after, lasting, share)
