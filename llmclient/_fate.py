"""What becomes of a job that could not be done: when it is tried again, or why it is given up. Pure; times in seconds.

A job waits for as long as Claude, a limit or the money is what is missing: that is no fault of the job's, and costs
it none of its attempts. Faults are counted. Both end when the job is too old.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from llmclient import _errors, _retry
from llmclient._durations import seconds_of
from llmclient._errors import Category

Reason = Literal["permanent", "attempts", "expired", "worker_lost", "time_limit", "unreadable"]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)

# Claude has no room for it now, or there is no money for it now.
FULL: Final[frozenset[Category]] = frozenset(
    {"rate_limit", "ramp_limit", "overloaded", "local_rate_limited", "circuit_open"}
)
UNPAID: Final[frozenset[Category]] = frozenset({"spend_limit", "billing"})
# Something broke, and may work the next time. A refused key is among them: it is the worker's, not the job's.
FAULTS: Final[frozenset[Category]] = frozenset(
    {
        "timeout",
        "connection",
        "server_error",
        "stream_interrupted",
        "deadline_exceeded",
        "invalid_output",
        "authentication",
        "cancelled",
        "other",
    }
)
# The worker's own client put the job into a queue once more: trying again would only put it there again.
DEFERRED: Final = "Deferred"
FIRST_WAIT: Final = 5.0
JITTER: Final = 0.25  # of a wait that was asked for, on top; jobs that were sent away together do not return together


@dataclass(frozen=True, slots=True)
class Rules:
    """How long and how often is tried; lengths of time as `"10m"` or in seconds."""

    attempts: int = 8
    """Runs that may fail by a fault; 5 s, 10 s, 20 s … lie between them."""
    max_age: str | float = "1d"
    """From the moment the job was put into the queue; then it is given up, whatever it waits for."""
    longest_wait: str | float = "10m"
    """Between two tries, however long Claude asks to wait. Has to stay below the broker's visibility timeout."""
    losses: int = 3
    """Times the process that does the job may die before the job is thought to be the cause."""

    def __post_init__(self) -> None:
        for name in ("attempts", "losses"):
            if not (isinstance(getattr(self, name), int) and getattr(self, name) >= 1):
                raise ValueError(f"{name}: {getattr(self, name)!r} must be a whole number of at least 1")
        seconds_of(self.max_age, "max_age")
        seconds_of(self.longest_wait, "longest_wait")

    @property
    def age(self) -> float:
        return seconds_of(self.max_age, "max_age")

    @property
    def wait(self) -> float:
        return seconds_of(self.longest_wait, "longest_wait")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a job could not be done now."""

    category: Category
    asked: float | None = None
    """Seconds after which it is worth trying again, where somebody said so."""
    text: str = ""
    kind: str = ""
    """The name of the exception's class."""


@dataclass(frozen=True, slots=True)
class Again:
    """The job is to be tried again in `wait` seconds."""

    wait: float
    fault: bool
    """Whether this one counts as an attempt."""


def trouble_of(error: BaseException, *, now: float) -> Trouble:
    """What an exception says; `now` is Unix time. Behind an exhausted fallback chain stands what Claude said."""
    category = _errors.category(error)
    if category == "fallback_exhausted" and error.__cause__ is not None:
        error = error.__cause__
        category = _errors.category(error)
    return Trouble(category, _asked(error, now), str(error)[:500], type(error).__name__)


def after(
    trouble: Trouble, rules: Rules, *, waits: int, faults: int, age: float, chance: Callable[[], float]
) -> Again | Reason:
    """Whether and when a job is tried again that has waited, failed and aged so; `chance` gives [0, 1)."""
    fault = trouble.category in FAULTS
    if trouble.kind == DEFERRED or not (fault or _is_full(trouble) or trouble.category in UNPAID):
        return "permanent"
    if fault and faults + 1 >= rules.attempts:
        return "attempts"
    if trouble.category in UNPAID:
        wait = rules.wait * (1 - JITTER * chance())
    elif trouble.asked is not None and trouble.asked > 0:
        wait = min(trouble.asked, rules.wait) * (1 + JITTER * chance())
    else:
        wait = min(FIRST_WAIT * 2.0 ** min(faults if fault else waits, 30), rules.wait) * (1 - 0.5 * chance())
    return "expired" if age + wait > rules.age else Again(wait, fault)


def _is_full(trouble: Trouble) -> bool:
    """Whether waiting helps; with a budget, when it is known how long."""
    return trouble.category in FULL or (trouble.category == "budget_exceeded" and trouble.asked is not None)


def _asked(error: Any, now: float) -> float | None:
    for name in ("retry_at", "resets_at"):
        when = getattr(error, name, None)
        if isinstance(when, datetime):
            return when.timestamp() - now
    asked = getattr(error, "retry_after", None)
    if isinstance(asked, int | float):
        return float(asked)
    headers = getattr(getattr(error, "response", None), "headers", None)
    return None if headers is None else _retry.retry_after(headers, now=now)
