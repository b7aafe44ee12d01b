"""What the processes that use one Redis share: which circuits are open, and how much of the rate limits is left.

Optional, by `configure(redis=…)`. Asking Redis is I/O: the engine has it done where it may wait, and what nobody waits
for is done by `_later`. Redis is never needed: without it each process goes by what it knows itself.
"""

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, Final

from llmclient import _quota
from llmclient._breaker import Transition
from llmclient._breaker_shared import SHARED, SharedOpening
from llmclient._effects import Effect, Pause
from llmclient._errors import Category
from llmclient._later import LATER
from llmclient._limits_shared import SharedLimits
from llmclient._queue import Want
from llmclient._quietly import quietly
from llmclient._run import Run

if TYPE_CHECKING:
    from llmclient._groups import Group

UNSAID_WAIT: Final = 1.0  # seconds, where a refusal does not say for how long
LIMIT_HEADERS: Final = "anthropic-ratelimit"
REFUSED: Final = frozenset({"rate_limit", "ramp_limit", "overloaded"})


class Shared:
    """What one account shares. Raises ImportError without the package redis, ValueError for a URL that is none."""

    def __init__(self, url: str, account: str, *, target: float) -> None:
        self._account = account
        self._openings = SharedOpening(url)
        self._limits = SharedLimits(url, account=account, target=target)

    # --- circuits -------------------------------------------------------------------------------------------------

    def heed(self, group: "Group", now: float) -> Generator[Effect, Any, None]:
        """Opens the breaker here when it is open elsewhere."""
        name = self._name(group)
        seconds = self._openings.known(name, now)
        if seconds is None:
            seconds = yield Run(self._openings.open_for, name, now, blocking=True)
        if seconds:
            group.trip(now, seconds, SHARED)

    def breaker_changed(self, group: str, change: Transition) -> None:
        """Tells the others; what was heard from them is not told back."""
        if change.after == "open" and change.reason != SHARED:
            LATER.do(self._openings.opened, f"{self._account}:{group}", change.retry_in)
        elif change.after == "closed":
            LATER.do(self._openings.opened, f"{self._account}:{group}", 0.0)

    # --- rate limits ----------------------------------------------------------------------------------------------

    def enter(self, group: "Group", want: Want, patience: float) -> Generator[Effect, Any, float]:
        """Takes its share of what is left for all: 0, or the seconds it would have had to wait beyond `patience`."""
        waited = 0.0
        while True:
            wait = yield Run(self._limits.reserve, group.name, want, blocking=True)
            if not wait:
                return 0.0
            if waited + wait > patience:
                return float(wait)
            waited += wait
            yield Pause(wait)

    def settle(
        self, group: "Group", want: Want, category: Category | None, used: tuple[int | None, int | None]
    ) -> None:
        """What was taken is replaced by what was used; None: unknown, the estimate stands."""
        input_, output = (0, 0) if category in REFUSED else used
        requests = 0.0 if category in REFUSED else 1.0
        LATER.do(
            lambda: self._limits.settle(
                group.name,
                want,
                requests=requests,
                input=want.input if input_ is None else input_,
                output=want.output if output is None else output,
            )
        )

    def learn(self, group: "Group", headers: Mapping[str, str], *, unix_now: float, age: float) -> None:
        """What an answer says about the limits."""
        kept = {name: value for name, value in headers.items() if name == "date" or name.startswith(LIMIT_HEADERS)}
        LATER.do(lambda: self._limits.learn(group.name, kept, received_at_unix=unix_now, age=age))

    def refused(self, group: "Group", headers: Mapping[str, str], wait: float | None) -> None:
        """The provider refused: everybody holds back."""
        reading = _quota.read(headers, received_at=0.0)
        tightest = () if reading is None else reading.tightest()
        LATER.do(self._limits.refused, group.name, tightest, UNSAID_WAIT if wait is None else wait)

    @property
    def is_up(self) -> bool:
        return bool(quietly(lambda: self._limits.up))

    def _name(self, group: "Group") -> str:
        return f"{self._account}:{group.name}"
