"""The exceptions of this package. All are `anthropic.AnthropicError`: existing `except` clauses keep working."""

from typing import TYPE_CHECKING, ClassVar

import anthropic

from llmclient._errors import Category

if TYPE_CHECKING:
    import httpx2

    from llmclient._call import Call


class LLMError(anthropic.AnthropicError):
    """Base of every exception this package raises; `call` is the measured call."""

    category: ClassVar[Category] = "other"
    call: "Call | None" = None


class Unavailable(LLMError):  # noqa: N818  # it reads as what it is: except llmclient.Unavailable
    """No answer could be had for now; the same request may succeed later."""


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
