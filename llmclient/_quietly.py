"""Measuring must never be felt: whatever fails in here is told once a minute and otherwise forgotten."""

import contextlib
import logging
import time
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("llmclient")
SILENCE: Final = 60.0  # seconds between two warnings about the same thing
_last_told: dict[str, float] = {}


def warn(topic: str, message: str, *arguments: object) -> None:
    """One line in the log of the host, at most once a minute per topic."""
    now = time.monotonic()
    if now - _last_told.get(topic, -SILENCE) < SILENCE:
        return
    # Set first: a log handler that itself calls Claude must not come back here.
    _last_told[topic] = now
    with contextlib.suppress(Exception):  # a broken log handler of the host's is not ours to report
        logger.warning(message, *arguments)


def quietly(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """The result of `function`, or None when it raised: for everything that only measures."""
    try:
        return function(*args, **kwargs)
    except Exception as error:  # noqa: BLE001  # a fault of ours must not become a fault of the host's call
        name = getattr(function, "__qualname__", repr(function))
        warn(f"quietly:{name}", "measuring a call failed in %s: %r; the call itself is not affected", name, error)
        return None
