"""For replays: a call that happened at another time, or takes time by another clock, told to the client.

Not for applications: an id given twice is one call to the server.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple
from uuid import UUID


class Pin(NamedTuple):
    """The id of the next call, whose first 48 bits are the instant it started, and the clock it is measured by."""

    call_id: UUID
    clock: Callable[[], float]

    @property
    def started_ms(self) -> int:
        return self.call_id.int >> 80


_pin: ContextVar[Pin | None] = ContextVar("llmclient_pin", default=None)


@contextmanager
def pinned(call_id: UUID, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """The first call made inside has this id and is measured by this clock; `clock` gives seconds, never backwards."""
    token = _pin.set(Pin(call_id, clock))
    try:
        yield
    finally:
        _pin.reset(token)


def take() -> Pin | None:
    """What was pinned for the next call, once; None outside of replays."""
    pin = _pin.get()
    if pin is not None:
        _pin.set(None)
    return pin
