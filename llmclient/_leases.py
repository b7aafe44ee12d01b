"""Amounts leased from the server and spent here: lease, then post or void. Pure: no clock, no I/O, no thread.

The protocol is docs/leases.md. One exchange is under way at a time and is repeated, word by word, until it is answered:
so an answer that was lost, or a request that came twice, changes nothing. The book is asked by the host's threads
(reserve, settle, void) and by the one thread that talks to the server (everything else).
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from llmclient._holds import HOLD_FOR
from llmclient._lease_answer import read_answer
from llmclient._lease_holds import LeaseHold, Short, short_of
from llmclient._lease_pool import Lease, Pool
from llmclient._server_policy import Demand, ServerPolicy
from llmclient._turns import Turns

ENTRIES: Final = 200  # of one exchange
REMEMBERED: Final = 10_000  # shares that were refused; who is forgotten may use the allowance once more


@dataclass(slots=True)
class Exchange:
    """One request to the server."""

    body: dict[str, Any]
    asks: dict[str, tuple[Pool, int]]
    """By lease: the pool that asks, and its debt when it did."""


class LeaseBook:
    """The leases of one process. `mint` makes ids that nobody else makes; `now` is a steady clock, in seconds."""

    def __init__(self, holder: str, mint: Callable[[], str], *, hold_for: float = HOLD_FOR) -> None:
        self._holder = holder
        self._mint = mint
        self._hold_for = hold_for
        self._turns = Turns()
        self._pools: dict[tuple[int, str], Pool] = {}
        self._leaving: list[Pool] = []
        self._refused: dict[tuple[int, str], Pool] = {}
        """Idle, but remembered for the period, so that nobody gets the allowance twice."""
        self._holds: OrderedDict[LeaseHold, float] = OrderedDict()  # until when, soonest first
        self._notes: list[tuple[LeaseHold, int | None, int | None]] = []
        self._exchange: Exchange | None = None
        self._fence = 0
        self.policy = ServerPolicy()
        self.hungry = False
        """A call found no lease, or few are left: do not wait to ask."""
        self.stale = False
        """The policy is out of date: a period is over, or the server said so."""
        self.lost = 0
        """Posts the server would not take."""

    # --- asked by the host's threads ------------------------------------------------------------------------------

    def reserve(self, demands: Sequence[Demand], now: float) -> LeaseHold | Short:
        """Holds all demands or none."""
        with self._turns:
            self._pass_time(now)
            shares = [(self._pool(demand, now), demand.amount) for demand in demands]
            short = []
            for demand, (pool, amount) in zip(demands, shares, strict=True):
                if not pool.admits(amount, now):
                    short.append(short_of(demand, pool))
                    pool.need = amount
                self.hungry = self.hungry or pool.wish(now) is not None
            stopping = [each for each in short if each.demand.budget.on_exceed != "warn"]
            if stopping:
                return next((each for each in stopping if each.demand.budget.on_exceed == "raise"), stopping[0])
            for pool, amount in shares:
                pool.held += amount
            hold = LeaseHold(shares, short)
            self._holds[hold] = now + self._hold_for
            return hold

    def settle(self, hold: LeaseHold, tokens: int | None, nanousd: int | None, now: float) -> None:
        """Turns what was held into what was used; None: unknown, the estimate stands."""
        if self._turns.mine:  # the garbage collector, in the middle of one of ours
            self._notes.append((hold, tokens, nanousd))
            return
        with self._turns:
            self._pass_time(now)
            self._settle(hold, tokens, nanousd)

    def void(self, hold: LeaseHold, now: float) -> None:
        """Frees what was held. Does nothing once it is settled."""
        self.settle(hold, 0, 0, now)

    def _settle(self, hold: LeaseHold, tokens: int | None, nanousd: int | None) -> None:
        if hold.closed or hold.pid != os.getpid():
            return
        hold.closed = True
        late = self._holds.pop(hold, None) is None
        for pool, amount in hold.shares:
            used = tokens if pool.budget.unit == "tokens" else nanousd
            used = amount if used is None else max(used, 0)
            if late:  # counted as spent in full since it expired
                used = max(used - amount, 0)
            else:
                pool.held -= amount
            pool.unposted += used
            if pool.forgotten and pool.unposted:
                self._remember(pool)

    def _remember(self, pool: Pool) -> None:
        """A call outlived its pool: what it cost is to be posted."""
        place = (pool.budget.id, pool.key)
        if self._refused.get(place) is pool:
            self._recall(place)
        else:
            pool.forgotten, pool.closing = False, True
            self._leaving.append(pool)

    def _recall(self, place: tuple[int, str]) -> Pool:
        pool = self._pools[place] = self._refused.pop(place)
        pool.forgotten = False
        return pool

    def _pass_time(self, now: float) -> None:
        while self._notes:
            self._settle(*self._notes.pop())
        while self._holds:
            hold, until = next(iter(self._holds.items()))
            if until > now:
                return
            del self._holds[hold]
            for pool, amount in hold.shares:
                pool.held -= amount
                pool.unposted += amount

    def _pool(self, demand: Demand, now: float) -> Pool:
        budget, place = demand.budget, (demand.budget.id, demand.key)
        over = now >= budget.ends_at
        pool = self._pools.get(place)
        if pool is None and place in self._refused:
            pool = self._recall(place)
        if pool is not None and over and pool.period == budget.period:
            self._leave(place)
            pool = None
        if pool is None:
            pool = self._pools[place] = Pool(budget, demand.key, None if over else budget.period)
        self.stale = self.stale or over
        pool.used_at = now
        return pool

    # --- asked by the thread that talks to the server -------------------------------------------------------------

    def learn(self, policy: ServerPolicy) -> None:
        """Obeys another policy: leases of periods that are over are posted, a raised limit is asked about again."""
        with self._turns:
            self.policy, self.stale = policy, False
            budgets = {budget.id: budget for budget in policy.budgets}
            for place in list(self._refused):
                self._recall(place)
            for place, pool in list(self._pools.items()):
                budget = budgets.get(place[0])
                if budget is not None and pool.period is None:
                    pool.period = budget.period
                if budget is None or budget.period != pool.period:
                    self._leave(place)
                    continue
                if budget.limit > pool.budget.limit:
                    pool.refused = None
                pool.budget = budget

    def retire(self, now: float) -> None:
        """Gives everything back with the next exchange: the process ends."""
        with self._turns:
            self._pass_time(now)
            for place in list(self._pools):
                self._leave(place)

    def exchange(self, now: float) -> Exchange | None:
        """What to send now: the unanswered exchange again, else a new one when there is something to say."""
        if self._exchange is None:
            with self._turns:
                self._pass_time(now)
                self.hungry = False
                self._exchange = self._compose(now)
        return self._exchange

    def answered(self, answer: Mapping[str, Any], sent_at: float, now: float) -> None:
        """Takes the server's answer to the exchange under way; ValueError when it is none, and nothing changed."""
        exchange = self._exchange
        if exchange is None:
            return
        granted, refused = read_answer(answer, sent_at, now)
        with self._turns:
            self._exchange = None
            for id_, (pool, debt) in exchange.asks.items():
                pool.asking = False
                if id_ in granted:
                    lease = granted[id_]
                    pool.leases.append(lease)
                    pool.need = 0
                    pool.refused = None
                elif id_ in refused:
                    pool.refused = refused[id_]._replace(debt=debt)
                    pool.need = 0
                else:  # of a period or a budget that is no more
                    self.stale = True

    def fenced(self, fence: int) -> None:
        """The server knows a later exchange of this holder: says the same again, behind that one."""
        if self._exchange is not None:
            self._fence = max(self._fence, fence) + 1
            self._exchange.body["fence"] = self._fence

    def refused(self) -> None:
        """The server takes this exchange for nonsense, and would again: it is dropped."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self.lost += len(exchange.body["post"])
            for pool, _ in exchange.asks.values():
                pool.asking = False

    @property
    def owing(self) -> bool:
        """Something is leased, owed or unanswered."""
        pools = [*self._pools.values(), *self._leaving]
        return self._exchange is not None or any(pool.leases or pool.unposted for pool in pools)

    def _leave(self, place: tuple[int, str]) -> None:
        pool = self._pools.pop(place)
        pool.closing = True
        self._leaving.append(pool)

    def _compose(self, now: float) -> Exchange | None:
        body: dict[str, Any] = {"holder": self._holder, "fence": self._fence + 1, "ask": [], "post": [], "void": []}
        asks: dict[str, tuple[Pool, int]] = {}
        self._forget(now)
        for pool in [*self._leaving, *self._pools.values()]:
            if len(asks) + len(body["post"]) + len(body["void"]) >= ENTRIES:
                self.hungry = True
                break
            for lease, spent in pool.payments(now):
                self._pay(body, pool, lease, spent)
            wish = pool.wish(now)
            if wish is not None:
                asks[id_ := self._mint()] = pool, wish.debt
                pool.asking = True
                amounts = {"amount": wish.amount + wish.debt, "least": wish.least + wish.debt}
                body["ask"].append({"id": id_, **_place(pool), **amounts})
        if not (body["ask"] or body["post"] or body["void"]):
            return None
        self._fence += 1
        return Exchange(body, asks)

    def _forget(self, now: float) -> None:
        for place, pool in list(self._pools.items()):
            if pool.idle(now):
                del self._pools[place]
                pool.forgotten = True
                if pool.refused is not None:
                    self._refused[place] = pool
        for pool in self._leaving:
            pool.forgotten = not (pool.leases or pool.unposted or pool.held or pool.asking)
        self._leaving = [pool for pool in self._leaving if not pool.forgotten]
        while len(self._refused) > REMEMBERED:
            del self._refused[next(iter(self._refused))]

    def _pay(self, body: dict[str, Any], pool: Pool, lease: Lease | None, spent: int) -> None:
        if lease is not None and spent == 0:
            body["void"].append({"id": lease.id})
        else:
            id_ = self._mint() if lease is None else lease.id
            body["post"].append({"id": id_, **_place(pool), "spent": spent})


def _place(pool: Pool) -> dict[str, Any]:
    return {"budget": pool.budget.id, "key": pool.key, "period": pool.period}
