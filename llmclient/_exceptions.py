"""The exceptions of this package. All are `anthropic.AnthropicError`: existing `except` clauses keep working.

LLMError
 ├─ Unavailable          no answer could be had for now
 │   ├─ CircuitOpen            .retry_at
 │   ├─ LocalRateLimited       .retry_after
 │   ├─ DeadlineExceeded       .partial
 │   ├─ StreamInterrupted      .partial
 │   └─ FallbackExhausted
 ├─ Rejected             asking again changes nothing
 │   ├─ BudgetExceeded         .budget .spent .limit .resets_at
 │   ├─ InputRejected          .field .reason
 │   └─ OutputFiltered         .reason
 ├─ InvalidOutput        .partial .errors
 └─ Deferred             .ticket: the answer comes later, from a queue
"""

from typing import TYPE_CHECKING, Any, ClassVar

import anthropic

from llmclient._errors import Category

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import httpx2

    from llmclient._call import Call
    from llmclient._policy import Budget


class LLMError(anthropic.AnthropicError):
    """Base of every exception this package raises; `call` is the measured call."""

    category: ClassVar[Category] = "other"
    call: "Call | None" = None


class Unavailable(LLMError):  # noqa: N818  # it reads as what it is: except llmclient.Unavailable
    """No answer could be had for now; the same request may succeed later."""


class CircuitOpen(Unavailable):
    """Calls to these models fail, so none is tried before `retry_at` (UTC)."""

    category: ClassVar[Category] = "circuit_open"

    def __init__(self, message: str, *, retry_at: "datetime") -> None:
        super().__init__(message)
        self.retry_at = retry_at


class LocalRateLimited(Unavailable):
    """The provider's limit is used up for now, and the wait for a turn would be too long.

    `retry_after`: seconds after which it is worth asking again.
    """

    category: ClassVar[Category] = "local_rate_limited"

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlineExceeded(Unavailable):
    """The time for the whole call is used up, or would be before an answer could come.

    `partial` is the text a stream had brought by then.
    """

    category: ClassVar[Category] = "deadline_exceeded"

    def __init__(self, message: str, *, partial: str = "") -> None:
        super().__init__(message)
        self.partial = partial


class StreamInterrupted(Unavailable, anthropic.APIError):
    """A stream broke off before the end of the message; `partial` is the text received until then.

    The SDK alone lets three such cases out as other things: an error event as a status error with status 200, a lost
    connection as a bare transport error, and a clean end without `message_stop` as no error at all. The transport
    error is `__cause__`. It is an `anthropic.APIError` too, so a handler written for the SDK catches it.
    """

    category: ClassVar[Category] = "stream_interrupted"

    def __init__(self, message: str, request: "httpx2.Request", *, body: object = None, partial: str = "") -> None:
        super().__init__(message, request, body=body)
        self.partial = partial


class FallbackExhausted(Unavailable):
    """Claude did not answer, and nothing in the fallback chain could. What Claude's error was is `__cause__`."""

    category: ClassVar[Category] = "fallback_exhausted"


class Rejected(LLMError):  # noqa: N818  # it reads as what it is
    """Stopped by a rule of this program; the same request is stopped again."""


class BudgetExceeded(Rejected):
    """The call would go over a budget. `spent` and `limit` are tokens or nano-dollars, as `budget.unit` says.

    `resets_at` (UTC): when enough of the window will have passed; None for a budget per request, which never resets.
    """

    category: ClassVar[Category] = "budget_exceeded"

    def __init__(
        self, message: str, *, budget: "Budget", spent: int, limit: int, resets_at: "datetime | None" = None
    ) -> None:
        super().__init__(message)
        self.budget = budget
        self.spent = spent
        self.limit = limit
        self.resets_at = resets_at


class InputRejected(Rejected):
    """A validator refused the request before it was sent; `field` is the part of it that is wrong."""

    category: ClassVar[Category] = "input_rejected"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


class OutputFiltered(Rejected):
    """A filter refused the answer."""

    category: ClassVar[Category] = "output_filtered"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The answer was held back: {reason}")
        self.reason = reason


class InvalidOutput(LLMError):  # noqa: N818  # it reads as what it is
    """The answer does not have the form asked for, also after repair: `partial` is its text, `errors` what is wrong."""

    category: ClassVar[Category] = "invalid_output"

    def __init__(self, message: str, *, partial: str = "", errors: "Sequence[str]" = ()) -> None:
        super().__init__(message)
        self.partial = partial
        self.errors = tuple(errors)


class Deferred(LLMError):  # noqa: N818  # it is no failure
    """The call was put into a queue; `ticket` says where its answer will be. Raised, for it is no answer itself."""

    def __init__(self, ticket: Any) -> None:
        super().__init__(f"The call was deferred; its ticket is {ticket}")
        self.ticket = ticket
