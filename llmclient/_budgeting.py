"""What the engine asks before and after a call: may it be paid for, and what did it cost.

Reserve, then settle or void. What comes after the first of them does nothing, nor does a forked child's copy: so a call
voids in its `finally`, whichever way it ends. This program's own budgets are asked first, then the server's.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from llmclient._budget_keys import Claim, claims, unnamed
from llmclient._holds import Exceeded, Hold, Soft
from llmclient._lease_holds import LeaseHold, Short
from llmclient._ledger import Ledger
from llmclient._policy import NANO, Budget, OnExceed

if TYPE_CHECKING:
    from llmclient._exceptions import BudgetExceeded
    from llmclient._lease_link import LeaseLink
    from llmclient._server_policy import ServerPolicy


class Store(Protocol):
    """Where this program's budgets are kept: `Ledger` in memory, `RedisLedger` for many processes."""

    @property
    def blocking(self) -> bool:
        """Whether asking it waits for a network; coroutines then ask in a thread."""

    def reserve(self, claims: Sequence[Claim], now: float) -> Hold | Exceeded: ...
    def settle(self, hold: Hold, tokens: int | None, nanousd: int | None, now: float) -> list[Soft]: ...
    def void(self, hold: Hold, now: float) -> None: ...
    def void_later(self, hold: Hold, now: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """A budget has no room for the call. `action` is what its owner wants: raise, answer by fallback, or only tell."""

    action: OnExceed
    message: str
    budget: Budget
    spent: int
    limit: int
    resets_at: datetime | None

    def error(self) -> "BudgetExceeded":
        """The exception to raise."""
        from llmclient._exceptions import BudgetExceeded  # noqa: PLC0415  # loads the SDK

        return BudgetExceeded(
            self.message, budget=self.budget, spent=self.spent, limit=self.limit, resets_at=self.resets_at
        )


class Reserved(NamedTuple):
    """Money put aside for one call. `warnings`: budgets that only tell, and are exceeded."""

    hold: Hold
    lease: LeaseHold | None = None
    warnings: tuple[Refusal, ...] = ()

    @property
    def counts_tokens(self) -> bool:
        """Whether anybody wants to know how many tokens were used. What a request may take is over with it."""
        if self.lease is not None:
            return True
        for claim in self.hold.claims:
            kind = claim.key.kind
            if kind.unit == "tokens" and kind.per != "request":
                return True
        return False


class Budgeting:
    """The budgets of one client: its own in `store`, the server's through `link`. `now` is Unix time, in seconds."""

    def __init__(self, store: Store | None = None, link: "LeaseLink | None" = None) -> None:
        self._store: Store = Ledger() if store is None else store
        self._link = link
        self.unnamed: Counter[str] = Counter()
        """Times a budget did not apply because the call did not say whose it is, by `per`."""

    @property
    def blocking(self) -> bool:
        """Whether `reserve` may wait for a network; `settle` and `void` then wait for the store, too."""
        return self._store.blocking or (self._link is not None and self._link.blocking)

    @property
    def policy(self) -> "ServerPolicy | None":
        """What the server wants, as far as it is known; None where there is none to obey."""
        return None if self._link is None else self._link.policy

    def stopped(self, model: str | None) -> str | None:
        """Why the server wants no calls of this model; None: it does not mind."""
        return None if self._link is None else self._link.policy.stop(model)

    def reserve(
        self,
        budgets: Sequence[Budget],
        labels: Mapping[str, Any],
        app: str | None,
        tokens: int,
        nanousd: int,
        now: float,
        *,
        model: str | None = None,
    ) -> Reserved | Refusal:
        """Puts aside what a call is estimated to use, of every budget that applies to it, or of none."""
        wanted = claims(budgets, labels, app, tokens, nanousd)
        if len(wanted) < len(budgets):
            self.unnamed.update(unnamed(budgets, labels))
        hold = self._store.reserve(wanted, now)
        if isinstance(hold, Exceeded):
            return _refusal(hold)
        warnings = [_refusal(each) for each in hold.warned] if hold.warned else []
        if self._link is None:
            return Reserved(hold, None, tuple(warnings))
        lease = self._link.reserve(labels, model, tokens, nanousd)
        if isinstance(lease, Short):
            self._store.void(hold, now)
            return _short(lease)
        return Reserved(hold, lease, (*warnings, *map(_short, lease.warned)))

    def settle(self, reserved: Reserved, tokens: int | None, nanousd: int | None, now: float) -> list[Soft]:
        """Counts what the call used; None: not known, the estimate stands. Says which budgets are four fifths spent."""
        if self._link is not None and reserved.lease is not None:
            self._link.settle(reserved.lease, tokens, nanousd)
        return self._store.settle(reserved.hold, tokens, nanousd, now)

    def void(self, reserved: Reserved, now: float) -> None:
        """Frees what was put aside: no call was made, or it cost nothing."""
        if self._link is not None and reserved.lease is not None:
            self._link.void(reserved.lease)
        self._store.void(reserved.hold, now)

    def void_later(self, reserved: Reserved, now: float) -> None:
        """The same without ever waiting: for a stream the garbage collector closes, or a cancelled coroutine."""
        if self._link is not None and reserved.lease is not None:
            self._link.void(reserved.lease)
        self._store.void_later(reserved.hold, now)


def _refusal(exceeded: Exceeded) -> Refusal:
    budget, amount = exceeded.claim.budget, _amount(exceeded.claim.budget, exceeded.claim.amount)
    limit = _amount(budget, exceeded.limit)
    if exceeded.away:
        message = f"the budget per {budget.per} cannot be checked: its store does not answer"
    elif budget.per == "request":
        message = f"this request would take about {amount}; {limit} are allowed"
    elif exceeded.resets_at is None:
        message = f"this call would take about {amount}, more than the whole budget per {budget.per}: {limit}"
    else:
        message = _no_room(budget, exceeded.spent, exceeded.limit, amount)
    resets_at = _instant(exceeded.resets_at)
    return Refusal(budget.on_exceed, message, budget, exceeded.spent, exceeded.limit, resets_at)


def _short(short: Short) -> Refusal:
    budget = short.demand.budget.budget
    if short.unknown:
        message = f"the server's budget per {short.demand.budget.per} allows nothing before the server has answered"
    else:
        message = _no_room(budget, short.spent, short.limit, _amount(budget, short.demand.amount))
    return Refusal(budget.on_exceed, message, budget, short.spent, short.limit, _instant(short.resets_at))


def _no_room(budget: Budget, spent: int, limit: int, amount: str) -> str:
    taken = f"{_amount(budget, spent)} of {_amount(budget, limit)} are spent or held"
    return f"the budget per {budget.per} has no room: {taken}, and this call would take about {amount}"


def _amount(budget: Budget, amount: int) -> str:
    if budget.unit == "tokens":
        return f"{amount:,} tokens"
    dollars = Decimal(amount) / NANO
    return f"${dollars:,.2f}" if amount % (NANO // 100) == 0 else f"${dollars:,f}"


def _instant(unix: float | None) -> datetime | None:
    try:
        return None if unix is None else datetime.fromtimestamp(unix, UTC)
    except (ValueError, OverflowError, OSError):  # a window of ten thousand years
        return None
