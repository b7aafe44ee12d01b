"""What became of asking a model: an answer for the caller, or a failure that something else may make up for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from llmclient._call import Failure
from llmclient._errors import Category
from llmclient._sse import StreamReader


@dataclass(slots=True)
class Succeeded:
    """An answer of the SDK's kind. `message` is there when the answer has been read, `reader` when it is a stream."""

    result: Any
    message: Mapping[str, Any] | None = None
    reader: StreamReader | None = None
    is_over: bool = True
    """False for a stream the caller is still to read."""
    failure: Failure | None = None
    """What is wrong with it, where it is for the caller to find out."""


@dataclass(slots=True)
class Failed:
    """No answer. Either `error` was raised, or `result` is an answer with an error status."""

    failure: Failure
    error: BaseException | None = None
    result: Any = None
    retry_after: float | None = None
    """Seconds the provider asks to wait."""
    should_retry: str | None = None
    """The provider's own word on whether to try again."""
    local: bool = False
    """Nothing was sent: the breaker, the limiter or the clock said no."""

    @property
    def category(self) -> Category:
        return self.failure.category

    def exception(self, client: Any) -> BaseException:
        """The failure as an exception: of an error status the one the SDK would raise."""
        if self.error is not None:
            return self.error
        error: BaseException = client._make_status_error_from_response(self.result.http_response)
        return error

    def surface(self) -> Any:
        """What the caller gets: the error is raised; of an error status the SDK makes its own exception."""
        if self.error is not None:
            self.reraise()
        return self.result

    def reraise(self) -> NoReturn:
        assert self.error is not None
        raise self.error
