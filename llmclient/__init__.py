"""Measured Claude calls: `llm = llmclient.instrument(anthropic.Anthropic())`, and nothing else changes.

Every call becomes one event with its attempts, tokens, times and errors, sent in the background to LLM Vitals. See
docs/client.md. Importing this package does not import the SDK: that happens with the first `instrument`.
"""

import os
from typing import TYPE_CHECKING, Any, TypeVar

from llmclient import _config
from llmclient._call import Attempt, Call, Failure
from llmclient._config import Capture
from llmclient._context import Calls, context, prompt
from llmclient._errors import Category, category
from llmclient._version import __version__

if TYPE_CHECKING:
    from llmclient._exceptions import LLMError, StreamInterrupted, Unavailable

__all__ = [
    "Attempt",
    "Call",
    "Calls",
    "Category",
    "Failure",
    "LLMError",
    "StreamInterrupted",
    "Unavailable",
    "__version__",
    "category",
    "close",
    "configure",
    "context",
    "flush",
    "instrument",
    "prompt",
]

C = TypeVar("C")


def configure(
    dsn: str | None = None,
    *,
    app: str | None = None,
    release: str | None = None,
    capture: Capture = "off",
    spool: str | os.PathLike[str] | None = None,
) -> None:
    """Says where telemetry goes; without a DSN, here or in LLMCLIENT_DSN, nowhere.

    `app` and `release` name the program. `capture="full"` sends prompts and answers as well; "off" sends no content.
    `spool` is a directory for events that cannot be delivered before the process ends. Raises ValueError for a DSN
    that cannot be read. May be called again: what waits for the old destination is delivered first, for 2 s at most.
    """
    _config.configure(dsn, app=app, release=release, capture=capture, spool=spool)


def instrument(client: C) -> C:
    """A client of the same type whose calls are measured; the one passed in stays as it is.

    Works for every client of the SDK, sync and async. Instrumenting twice changes nothing. Retries happen as before,
    but in our middleware, so `client.max_retries` reads 0; `with_options(max_retries=…)` sets them as always.
    """
    from llmclient._instrument import instrument as put_in  # noqa: PLC0415  # loads the SDK, which takes a second

    return put_in(client)


def flush(timeout: float | None = 2.0) -> bool:
    """Waits until everything measured so far has been delivered; False when that takes longer than `timeout` s."""
    return _config.flush(timeout)


def close(timeout: float = 2.0) -> None:
    """Delivers what waits, for at most `timeout` s, and stops sending. Happens by itself when the process ends."""
    _config.close(timeout)


def __getattr__(name: str) -> Any:
    # The exceptions are subclasses of the SDK's, so they are loaded when somebody asks for one.
    if name in ("LLMError", "StreamInterrupted", "Unavailable"):
        from llmclient import _exceptions  # noqa: PLC0415

        return getattr(_exceptions, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
