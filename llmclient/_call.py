"""One logical call: what was asked, every attempt, how it ended."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from llmclient._errors import Category
from llmclient._policy import Capture
from llmclient._sse import StreamReader

Operation = Literal["messages", "count_tokens", "batch_item"]
Outcome = Literal["ok", "degraded", "error", "rejected", "cancelled"]
Source = Literal["api", "cache", "stale_cache", "model_fallback", "rule", "deferred", "notice"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
SOURCES: Final[tuple[Source, ...]] = get_args(Source)

BASE_BYTES: Final = 1_600  # of an event without content, as it lies in memory
ATTEMPT_BYTES: Final = 400


@dataclass(slots=True)
class Attempt:
    """One HTTP attempt within a call. Times are seconds; `start` counts from the start of the call."""

    n: int
    start: float
    wait: float = 0.0
    """Seconds waited before this attempt."""
    duration: float = 0.0
    status: int | None = None
    """None when no answer came."""
    category: Category | None = None
    """None when the attempt succeeded."""
    request_id: str | None = None
    retry_after: float | None = None
    """What the answer asked to wait, in seconds."""
    model: str | None = None
    """The model asked for, where it is another than the call's: a fallback."""
    key_alias: str | None = None
    """Which key of the pool was used; never the key."""


@dataclass(slots=True)
class Failure:
    """Why a call ended without a whole answer. `type`, `code` and `message` are the provider's words."""

    category: Category
    type: str | None = None
    code: str | None = None
    status: int | None = None
    message: str | None = None


@dataclass(slots=True, eq=False)
class Call:
    """A call as measured; complete when `outcome` is set. Times are seconds."""

    id: uuid.UUID
    started_ms: int
    """Unix milliseconds, the same instant as in the id."""
    operation: Operation
    labels: Mapping[str, Any] = field(default_factory=dict)
    """feature, prompt_type, prompt_version, user_id, session_id, tags."""
    stream: bool = False
    model_requested: str | None = None
    model: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    trace: tuple[str, str] | None = None
    """Trace id and span id around the call, as hex."""
    attempts: list[Attempt] = field(default_factory=list)
    source: Source = "api"
    fallback_from: Category | None = None
    """Why Claude, as asked, did not answer, where something else did."""
    queued: float = 0.0
    """Seconds waited for a turn under the rate limits, in all attempts."""
    outcome: Outcome | None = None
    """None while the call is under way; a streamed call ends when its stream does."""
    error: Failure | None = None
    duration: float | None = None
    ttft: float | None = None
    """From sending the successful attempt to the first content delta; None when the answer was not streamed."""
    ttft_text: float | None = None
    """The same, to the first visible text: thinking may come before it."""
    usage: dict[str, Any] | None = None
    usage_complete: bool = True
    """False when the stream broke off: the output tokens are an estimate."""
    stop_reason: str | None = None
    stop_category: str | None = None
    request_id: str | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    cost: int | None = None
    """Nano-dollars by the client's own price list; None when the price is not known. The server's word counts."""
    budget: Mapping[str, Any] | None = None
    """Of the budget nearest to its limit: its key, unit, what is spent and the limit."""
    valid: bool | None = None
    """Whether the answer had the form asked for, where one was."""
    repairs: int = 0
    """Times the answer had to be asked for again to get that form."""
    capture: Capture = "off"
    """What of `sent` and `received` may leave the process."""
    # What was said, as bytes and undecoded until it is shipped: their hashes always are.
    sent: bytes | None = field(default=None, repr=False)
    received: bytes | StreamReader | None = field(default=None, repr=False)

    @property
    def degraded(self) -> bool:
        """Whether something less than was asked for answered."""
        return self.outcome == "degraded"

    @property
    def size(self) -> int:
        """Bytes this call is reckoned to take while it waits to be shipped."""
        return BASE_BYTES + ATTEMPT_BYTES * len(self.attempts) + self.content_size

    @property
    def content_size(self) -> int:
        received = self.received.kept if isinstance(self.received, StreamReader) else len(self.received or b"")
        return len(self.sent or b"") + received

    def strip_content(self) -> None:
        self.sent = self.received = None
