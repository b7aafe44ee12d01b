"""The time by which calls must be done, handed down with the flow of control and only ever tightened."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

NEVER: Final = float("inf")
_deadline: ContextVar[float] = ContextVar("llmclient_deadline", default=NEVER)


@contextmanager
def deadline(seconds: float, *, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Calls made inside have at most `seconds` from now, all together; an outer deadline that is nearer holds.

    For `with` in sync and async code alike. Raises ValueError when `seconds` is not above 0.
    """
    if not seconds > 0:
        raise ValueError(f"deadline: {seconds!r} seconds must be above 0")
    token = _deadline.set(min(_deadline.get(), clock() + seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def current() -> float:
    """The instant calls must be done by, on the monotonic clock; infinity when there is none."""
    return _deadline.get()
