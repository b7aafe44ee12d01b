"""The interpreter is the host's: whoever works long in the background gives it back every tenth of a millisecond.

A thread of the host's that comes back from waiting asks for the interpreter, and is given it after five milliseconds
unless the one who works lets go. `time.sleep(0)` does not let go long enough for the other to wake up: it is taken back
at once. A sleep of any length is at least the 50 microseconds by which Linux rounds up, and that is enough.
"""

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

STEP: Final = 0.0001  # seconds of work between two breaths
REST: Final = 0.00005

_never: Final = float("inf")
_due = _never


def take() -> None:
    """Rests when it is time to; for the middle of longer work. Does nothing outside of `in_steps`."""
    global _due  # noqa: PLW0603  # there is one sender per process
    if time.perf_counter() >= _due:
        time.sleep(REST)
        _due = time.perf_counter() + STEP


def in_steps(work: Callable[[], T]) -> T:
    """What `work` returns; while it is done, `take` is meant."""
    global _due  # noqa: PLW0603  # as above
    _due = time.perf_counter() + STEP
    try:
        return work()
    finally:
        _due = _never
