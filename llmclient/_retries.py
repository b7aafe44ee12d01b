"""Whether one logical call is worth another attempt, and after how long. Pure: numbers in, seconds out.

What retries can cost at most, however bad things are:

* one call: `attempts` attempts, of which two may time out (a timed-out request may have been billed);
* a fallback chain: each model in it has its own, so `attempts` times the models;
* a model group in the long run: one attempt and `budget` retries for each success (1.2 attempts with the default);
* a model group that is down: the retries saved up before, 50 at most, then none until something succeeds.

The SDK underneath must not retry (`max_retries=0`), and a caller's own loop multiplies all of this.
"""

import random
from collections.abc import Callable
from typing import Final, Literal

from llmclient._errors import Category
from llmclient._policy import Retry

StoppedBy = Literal["category", "attempts", "budget", "deadline", "shown", "server"]

START: Final = 10  # retries in a new budget
CAP: Final = 50
RETRY_COST: Final = 1
TIMEOUT_COST: Final = 2  # it held a connection for long and may be billed twice
MOST_TIMEOUTS: Final = 1  # retries after one, per call
JITTER: Final = 0.1  # of `retry-after`, upwards, so that those told the same time do not come back together
LONGEST_WAIT: Final = 3600.0  # seconds; nobody waits longer in a program, and some platforms cannot sleep that long
CONFLICT: Final = 409
MILLION: Final = 1_000_000

RETRYABLE: Final[frozenset[Category]] = frozenset(
    {"timeout", "connection", "rate_limit", "ramp_limit", "overloaded", "server_error", "stream_interrupted"}
)
# Answers of the API with an error: the only ones on which `x-should-retry: true` can mean something. The rest are
# final (spend_limit, billing, cancelled), are answers that were paid for, or are decisions of this program.
PERSUADABLE: Final[frozenset[Category]] = RETRYABLE | {
    "invalid_request",
    "authentication",
    "permission",
    "not_found",
    "request_too_large",
    "context_window",
    "other",
}


class RetryBudget:
    """The retries a process may spend on one model group; the caller locks.

    `earned`: retries each success is worth, in steps of a millionth; None: retries are not counted.
    """

    def __init__(self, earned: float | None) -> None:
        self._earned = None if earned is None else round(earned * MILLION)  # whole numbers: 5 times 0.2 is 1
        self._saved = START * MILLION

    @property
    def saved(self) -> float | None:
        """Retries that could be paid now; None when they are not counted."""
        return None if self._earned is None else self._saved / MILLION

    def succeed(self) -> None:
        """An attempt succeeded."""
        if self._earned is not None:
            self._saved = min(CAP * MILLION, self._saved + self._earned)

    def pay(self, cost: int) -> bool:
        """Takes `cost` retries; False, and nothing is taken, when there are not as many."""
        if self._earned is None:
            return True
        if self._saved < cost * MILLION:
            return False
        self._saved -= cost * MILLION
        return True


class Retries:
    """The retries of one logical call to one model group. `chance` gives [0, 1)."""

    def __init__(self, rules: Retry, budget: RetryBudget, *, chance: Callable[[], float] = random.random) -> None:
        self._rules = rules
        self._budget = budget
        self._chance = chance
        self._retried = 0
        self._timeouts = 0
        self._stopped_by: StoppedBy | None = None

    @property
    def stopped_by(self) -> StoppedBy | None:
        """Why there is no further retry; None as long as there was one each time."""
        return self._stopped_by

    def next_wait(
        self,
        category: Category,
        *,
        retry_after: float | None,
        should_retry: str | None,
        remaining: float,
        shown: bool,
        status: int | None = None,
    ) -> float | None:
        """Seconds to wait before the next attempt, less than `remaining`; None: no further attempt.

        `retry_after`: seconds the server asks for. `should_retry`: its `x-should-retry`. `remaining`: seconds until the
        deadline. `shown`: the caller has seen content of this answer. A retry that is granted is paid for.
        """
        self._stopped_by = self._forbidden_by(category, status, should_retry, shown=shown)
        if self._stopped_by is not None:
            return None
        wait = self._wait(category, retry_after)
        if not wait < min(remaining, LONGEST_WAIT):
            self._stopped_by = "deadline"
        elif not self._budget.pay(TIMEOUT_COST if category == "timeout" else RETRY_COST):
            self._stopped_by = "budget"
        if self._stopped_by is not None:
            return None
        self._retried += 1
        self._timeouts += category == "timeout"
        return wait

    def _forbidden_by(
        self, category: Category, status: int | None, should_retry: str | None, *, shown: bool
    ) -> StoppedBy | None:
        worthwhile = category in RETRYABLE or (category == "invalid_request" and status == CONFLICT)
        if not worthwhile and not (should_retry == "true" and category in PERSUADABLE):
            return "category"
        if should_retry == "false":
            return "server"
        if shown:
            return "shown"
        spent = self._retried + 1 >= self._rules.attempts
        if spent or (category == "timeout" and self._timeouts >= MOST_TIMEOUTS):
            return "attempts"
        return None

    def _wait(self, category: Category, retry_after: float | None) -> float:
        rules = self._rules
        overloaded = category == "overloaded"
        base, cap = (rules.overloaded_base, rules.overloaded_cap) if overloaded else (rules.base, rules.cap)
        backoff = self._chance() * min(cap, base * 2.0 ** min(self._retried, 1000))
        if retry_after is None or not retry_after > 0:  # also when it is not a number
            return backoff
        return max(backoff, retry_after * (1 + JITTER * self._chance()))
