"""Resilient, measured Claude calls: `llm = llmclient.instrument(anthropic.Anthropic())`, and nothing else changes.

Every call keeps a deadline, is tried again where that helps, stays under the rate limits, is stopped while Claude is
down, and becomes one event with its attempts, tokens, times and errors, sent in the background to LLM Vitals. See
docs/client.md. Importing this package does not import the SDK: that happens with the first `instrument`.
"""

import os
import re
import time
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from llmclient import _config, _score
from llmclient._call import Attempt, Call, Failure
from llmclient._context import Calls, context, prompt
from llmclient._deadline import deadline
from llmclient._errors import Category, category
from llmclient._keys import Keys
from llmclient._policy import Breaker, Budget, Capture, Limits, Policy, Privacy, Retry, Timeout
from llmclient._version import __version__

if TYPE_CHECKING:
    from llmclient._exceptions import (
        BudgetExceeded,
        CircuitOpen,
        DeadlineExceeded,
        Deferred,
        FallbackExhausted,
        InputRejected,
        InvalidOutput,
        LLMError,
        LocalRateLimited,
        OutputFiltered,
        Rejected,
        StreamInterrupted,
        Unavailable,
    )
    from llmclient._extract import aextract, extract

__all__ = [
    "Attempt",
    "Breaker",
    "Budget",
    "BudgetExceeded",
    "Call",
    "Calls",
    "Category",
    "CircuitOpen",
    "DeadlineExceeded",
    "Deferred",
    "Failure",
    "FallbackExhausted",
    "InputRejected",
    "InvalidOutput",
    "Keys",
    "LLMError",
    "Limits",
    "LocalRateLimited",
    "OutputFiltered",
    "Policy",
    "Privacy",
    "Rejected",
    "Retry",
    "StreamInterrupted",
    "Timeout",
    "Unavailable",
    "__version__",
    "aextract",
    "category",
    "close",
    "configure",
    "context",
    "deadline",
    "extract",
    "flush",
    "instrument",
    "open_circuit",
    "prompt",
    "reset_circuit",
    "score",
]

C = TypeVar("C")
# Subclasses of the SDK's, or in need of it: loaded when somebody asks for one.
LAZY = {
    **dict.fromkeys(
        (
            "BudgetExceeded",
            "CircuitOpen",
            "DeadlineExceeded",
            "Deferred",
            "FallbackExhausted",
            "InputRejected",
            "InvalidOutput",
            "LLMError",
            "LocalRateLimited",
            "OutputFiltered",
            "Rejected",
            "StreamInterrupted",
            "Unavailable",
        ),
        "_exceptions",
    ),
    **dict.fromkeys(("aextract", "extract"), "_extract"),
}


def configure(
    dsn: str | None = None,
    *,
    app: str | None = None,
    release: str | None = None,
    capture: Capture = "redacted",
    redact: Iterable[tuple[str, re.Pattern[str]] | Callable[[str], str]] = (),
    user_secret: str | None = None,
    spool: str | os.PathLike[str] | None = None,
    redis: str | None = None,
    server_budgets: bool = False,
) -> None:
    """Says where telemetry goes; without a DSN, here or in LLMCLIENT_DSN, nowhere.

    `app` and `release` name the program. `capture="redacted"` sends prompts and answers freed of personal data in
    this process, "full" as they are, "off" not at all. `redact` names what else is to be removed. With `user_secret`
    user ids leave the process as keyed hashes only. `spool` is a directory for events that cannot be delivered before
    the process ends. `redis` is the URL of a Redis through which several processes share limits, budgets and open
    circuits; without it each keeps its own. `server_budgets` has budgets and stops of the server obeyed, too: see
    docs/leases.md. Raises ValueError for what cannot be read. May be called again: what waits
    for the old destination is delivered first, for 2 s at most.
    """
    _config.configure(
        dsn,
        app=app,
        release=release,
        capture=capture,
        redact=redact,
        user_secret=user_secret,
        spool=spool,
        redis=redis,
        server_budgets=server_budgets,
    )


def instrument(
    client: C,
    policy: Policy | None = None,
    *,
    keys: Keys | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> C:
    """A client of the same type whose calls obey a policy and are measured; the one passed in stays as it is.

    Works for every client of the SDK, sync and async. Without a policy the default one holds, with the client's own
    number of retries, and its timeout where that is longer. `keys` is a pool of API keys, used in turn when one is
    refused. `clock` gives monotonic seconds, for tests. Instrumenting twice changes nothing. Retries happen in our
    middleware, so `client.max_retries` reads 0; `with_options(max_retries=…)` sets them as always.
    """
    from llmclient._instrument import instrument as put_in  # noqa: PLC0415  # loads the SDK, which takes a second

    return put_in(client, policy, keys=keys, clock=clock)


def score(
    call_id: uuid.UUID | str,
    name: str,
    value: float | bool | str,
    *,
    comment: str | None = None,
) -> None:
    """Tells what somebody thought of an answer, at any time and from any process that is configured.

    `value` is a number or a word; the same name given again for a call replaces it. Raises ValueError for what is no
    score, and nothing else.
    """
    _config.current().emit(_score.score_of(call_id, name, value, comment))


def open_circuit(model: str, seconds: float | None = None, *, reason: str = "by hand") -> None:
    """Stops calls to the models that share limits with `model`, in this process; for `seconds`, or until reset."""
    from llmclient import _groups  # noqa: PLC0415

    _groups.force_open(model, time.monotonic(), seconds, reason)


def reset_circuit(model: str) -> None:
    """Lets calls to the models that share limits with `model` through again, with a clean record."""
    from llmclient import _groups  # noqa: PLC0415

    _groups.reset(model, time.monotonic())


def flush(timeout: float | None = 2.0) -> bool:
    """Waits until everything measured so far has been delivered; False when that takes longer than `timeout` s."""
    return _config.flush(timeout)


def close(timeout: float = 2.0) -> None:
    """Delivers what waits, for at most `timeout` s, and stops sending. Happens by itself when the process ends."""
    _config.close(timeout)


def __getattr__(name: str) -> Any:
    if name in LAZY:
        from importlib import import_module  # noqa: PLC0415

        return getattr(import_module(f"llmclient.{LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
