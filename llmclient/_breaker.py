"""The circuit breaker of one model group: stops calls that would fail, and finds out when they work again.

Closed, it counts how attempts end. Open, it refuses until a cooldown is over. Half open, it lets a few probes through:
most of them must succeed. Pure: `now` is in monotonic seconds and passed in. There is no lock in here; every method
takes constant time and is called under the caller's. A clock that jumps does no harm: see `_time`.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from llmclient._breaker_window import Window
from llmclient._errors import Category
from llmclient._policy import Breaker
from llmclient._quietly import quietly

State = Literal["closed", "open", "half_open"]
Result = Literal["success", "failure", "neutral"]

JITTER: Final = 0.1  # of a cooldown, either way, so that a fleet does not probe in step
CLEAN: Final = 60.0  # seconds of good health after which the next cooldown is the first again
LONGEST_LEASE: Final = 600.0  # seconds; a call without a deadline must not hold a probe for ever
DISORDER: Final = 60.0  # seconds by which a thread may be late with the time it read; further back is another clock
ROUNDING: Final = 1e-6  # seconds; who comes back after exactly `retry_in` is not sent away by the last bit

# Reasons of its own; `trip` and `force_open` bring theirs.
FAILURE_SHARE: Final = "failure_share"
CONSECUTIVE_FAILURES: Final = "consecutive_failures"
COOLDOWN_OVER: Final = "cooldown_over"
PROBES_SUCCEEDED: Final = "probes_succeeded"
PROBES_FAILED: Final = "probes_failed"
RESET: Final = "reset"

FAILURES: Final[frozenset[Category]] = frozenset(
    {"timeout", "connection", "overloaded", "server_error", "stream_interrupted"}
)
# What stays so until somebody pays or a month begins. A refused probe costs nothing, and whoever raises the limit does
# not want to wait long for it to be noticed: a quarter of an hour.
COOLDOWNS: Final[Mapping[Category, float]] = {"spend_limit": 900.0, "billing": 900.0}


def result_of(category: Category | None) -> Result:
    """What an attempt says about the health of the models; None for one that was answered.

    Neutral is what the request or the caller is to blame for, and rate limits, which are the limiter's.
    """
    if category is None:
        return "success"
    return "failure" if category in FAILURES else "neutral"


def cooldown_of(category: Category | None) -> float | None:
    """Seconds to `trip` the breaker for after a single such answer; None for categories that do not open it at once."""
    return None if category is None else COOLDOWNS.get(category)


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state, for telemetry. `at` is the caller's `now`; `retry_in` seconds, 0 unless open."""

    at: float
    before: State
    after: State
    reason: str
    retry_in: float


@dataclass(slots=True, eq=False)
class Permit:
    """Leave to send one attempt, whose end is reported once."""

    generation: int
    probe: bool
    reported: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """No leave. `retry_in`: seconds as `CircuitBreaker.retry_in` tells them; `reason`: why it opened."""

    retry_in: float
    reason: str


class CircuitBreaker:
    """One per provider and model group. `chance` gives [0, 1).

    `told` hears of each change of state, under the caller's lock: it must only take note, and not call the breaker.
    """

    def __init__(
        self, rules: Breaker, *, chance: Callable[[], float] = random.random, told: Callable[[Transition], object]
    ) -> None:
        self._rules = rules
        self._chance = chance
        self._told = told
        self._latest, self._offset = -math.inf, 0.0
        self._state: State = "closed"
        self._reason = ""
        self._generation = 0  # grows with every state: reports on permits of an earlier one say nothing about this one
        # Closed:
        self._window = Window(rules.window)
        self._run = 0  # failures in a row
        self._clean_since = -math.inf
        # Open:
        self._until = 0.0
        self._cooldown = self._first_cooldown  # of the next opening
        # Half open:
        self._needed = rules.probes // 2 + 1
        self._leases: dict[Permit, float] = {}  # probes under way, and when each counts as lost
        self._succeeded = self._failed = 0

    def admit(self, now: float, lease: float) -> Permit | Refusal:
        """Leave to send an attempt that takes at most `lease` seconds, or how long to stay away."""
        time = self._time(now)
        if self._state == "closed":
            return Permit(self._generation, probe=False)
        if self._state == "open":
            left = self._left(time)
            if left > 0:
                return Refusal(left, self._reason)
            self._become("half_open", COOLDOWN_OVER, now)
        if not self._has_free_probe(time):
            return Refusal(self._next_lease_end(time), self._reason)
        permit = Permit(self._generation, probe=True)
        self._leases[permit] = time + min(lease, LONGEST_LEASE)
        return permit

    def report(self, permit: Permit, result: Result, now: float) -> None:
        """Says how the attempt ended.

        Only the first report on a permit counts, and only while the state it was given in lasts. A probe that was taken
        for lost still counts: it often ends in a timeout, just after its lease.
        """
        time = self._time(now)
        if permit.reported:
            return
        permit.reported = True
        if permit.generation != self._generation:
            return
        if self._state == "half_open":
            self._leases.pop(permit, None)
            self._count_probe(result, now, time)
        elif result != "neutral":
            self._count(now, time, failed=result == "failure")

    def trip(self, now: float, cooldown: float, reason: str) -> None:
        """Opens at once for `cooldown` seconds ±10 %; when it is open already, for no less than it was."""
        time = self._time(now)
        until = time + self._jittered(cooldown)
        if self._state != "open":
            self._open(until, reason, now, time)
        elif until > self._until:
            self._until, self._reason = until, reason

    def force_open(self, now: float, seconds: float | None, reason: str) -> None:
        """Opens for exactly so long, whatever was before; None: until `reset`."""
        time = self._time(now)
        until = math.inf if seconds is None else time + seconds
        if self._state == "open":
            self._until, self._reason = until, reason
        else:
            self._open(until, reason, now, time)

    def reset(self, now: float) -> None:
        """Closes at once and forgets all that was."""
        self._time(now)
        self._close(RESET, now, clean_since=-math.inf)

    def state(self, now: float) -> State:
        """The state a call would find; that a cooldown is over is told with the first call after it."""
        return "half_open" if self._state == "open" and not self._left(self._time(now)) else self._state

    def retry_in(self, now: float) -> float:
        """Seconds until a call may be let through, 0 when one would be now.

        Open, that is a promise: not before. Open until `reset`, nobody knows, and it is the longest cooldown. Half open
        with all probes out, it is when the first of them counts as lost; an answer may come sooner.
        """
        time = self._time(now)
        if self._state == "closed":
            return 0.0
        if self._state == "open":
            return self._left(time)
        return 0.0 if self._has_free_probe(time) else self._next_lease_end(time)

    @property
    def _first_cooldown(self) -> float:
        return min(self._rules.cooldown, self._rules.longest_cooldown)

    def _time(self, now: float) -> float:
        """Time as the breaker knows it: it never goes back.

        A late thread finds it where the others left it. When the clock itself was set back it goes on from where it
        was, so that no cooldown and no lease lasts for ever.
        """
        time = now + self._offset
        behind = self._latest - time
        if behind <= 0:
            self._latest = time
        elif behind > DISORDER:
            self._offset += behind
        return self._latest

    def _left(self, time: float) -> float:
        """Seconds of the cooldown that are left."""
        if self._until == math.inf:
            return self._rules.longest_cooldown
        left = self._until - time
        return left if left > ROUNDING else 0.0

    def _jittered(self, cooldown: float) -> float:
        return cooldown * (1 - JITTER + 2 * JITTER * self._chance())

    def _count(self, now: float, time: float, *, failed: bool) -> None:
        rules, window = self._rules, self._window
        window.add(time, failed=failed)
        self._run = self._run + 1 if failed else 0
        share = window.share
        enough = window.attempts >= rules.minimum
        opens = share >= rules.threshold if enough else self._run >= rules.consecutive
        # Half the share that opens it is not good health, but a few failures among many answers are.
        if opens or (failed and share >= rules.threshold / 2):
            self._end_good_health(time)
        if opens:
            self._open_for_cooldown(FAILURE_SHARE if enough else CONSECUTIVE_FAILURES, now, time)

    def _end_good_health(self, time: float) -> None:
        if time - self._clean_since >= CLEAN:
            self._cooldown = self._first_cooldown
        self._clean_since = time

    def _count_probe(self, result: Result, now: float, time: float) -> None:
        if result == "success":
            self._succeeded += 1
        elif result == "failure":
            self._failed += 1
        if self._succeeded >= self._needed:
            self._close(PROBES_SUCCEEDED, now, clean_since=time)
        elif self._failed > self._rules.probes - self._needed:
            self._open_for_cooldown(PROBES_FAILED, now, time)

    def _has_free_probe(self, time: float) -> bool:
        out = self._rules.probes - self._succeeded - self._failed
        if len(self._leases) >= out:
            self._leases = {permit: end for permit, end in self._leases.items() if end > time}
        return len(self._leases) < out

    def _next_lease_end(self, time: float) -> float:
        return min(self._leases.values()) - time

    def _open_for_cooldown(self, reason: str, now: float, time: float) -> None:
        until = time + self._jittered(self._cooldown)
        self._cooldown = min(2 * self._cooldown, self._rules.longest_cooldown)
        self._open(until, reason, now, time)

    def _open(self, until: float, reason: str, now: float, time: float) -> None:
        if self._state == "closed":
            self._end_good_health(time)
        self._until, self._reason = until, reason
        self._become("open", reason, now)

    def _close(self, reason: str, now: float, *, clean_since: float) -> None:
        self._window.clear()
        self._run = 0
        self._clean_since = clean_since
        self._become("closed", reason, now)

    def _become(self, after: State, reason: str, now: float) -> None:
        before, self._state = self._state, after
        self._generation += 1
        self._leases = {}
        self._succeeded = self._failed = 0
        if before != after:
            retry_in = self._left(self._latest) if after == "open" else 0.0
            quietly(self._told, Transition(now, before, after, reason, retry_in))
