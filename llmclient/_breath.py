"""The interpreter is the host's: whoever works long in the background gives it back every half millisecond.

A thread of the host's that comes back from waiting asks for the interpreter, and is given it after five milliseconds
unless the one who works lets go. `time.sleep(0)` does not let go long enough for the other to wake up: it is taken back
at once. A sleep of any length is at least the 50 microseconds by which Linux rounds up, and that is enough. Shorter
steps do more harm: who comes back from a rest waits for the host's next wait, and so meets it once for every step.

Who computes keeps the interpreter for five milliseconds, whatever is asked for. So after a rest that long, as long is
worked before the next one: between threads that compute the work gets its half, and not a tenth.
"""

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

STEP: Final = 0.0005  # seconds of work between two breaths
REST: Final = 0.00005
LATE: Final = 0.004  # seconds by which a rest is longer than it should be when somebody else computes

_never: Final = float("inf")
_due = _never
_step = STEP


def take() -> None:
    """Rests when it is time to; for the middle of longer work. Does nothing outside of `in_steps`."""
    if time.perf_counter() >= _due:
        _rest(REST)


def until(instant: float) -> None:
    """Rests until then, on `time.perf_counter`; as `take` does when that is over. Nothing outside of `in_steps`."""
    if _due == _never:
        return
    now = time.perf_counter()
    if instant > now:
        _rest(instant - now)
    elif now >= _due:
        _rest(REST)


def stop() -> None:
    """No more rests in the work under way: somebody waits for it."""
    global _due  # noqa: PLW0603  # there is one sender per process
    _due = _never


def in_steps(work: Callable[[], T], step: float = STEP) -> T:
    """What `work` returns; while it is done, `take` and `until` are meant, every `step` seconds."""
    global _due, _step  # noqa: PLW0603  # as above
    _step = step
    _due = time.perf_counter() + step
    try:
        return work()
    finally:
        _due = _never


def _rest(seconds: float) -> None:
    global _due  # noqa: PLW0603  # as above
    end = time.perf_counter() + seconds
    time.sleep(seconds)
    now = time.perf_counter()
    late = now - end
    _due = now + (_step if late < LATE else max(_step, late))
