"""Budgets in this process's memory: what was spent and what is held. Pure: time passed in, as Unix seconds.

spent + held never gets above a limit by reserving; afterwards at most by what calls cost more than was estimated.

Memory is bounded: at most `MOST_PURSES` are kept of one kind. When there are more, the one that spent least among those
unused for longest is forgotten, and for one window whoever is not known begins with as much as the dearest forgotten
purse had spent. So nobody over a limit is let in again because others came.
"""

import os
import weakref
from collections import OrderedDict, deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from llmclient._budget_keys import Claim, Key, Kind
from llmclient._holds import HOLD_FOR, SOFT_PERCENT, Exceeded, Hold, Soft, judge, over_one_request
from llmclient._purse import BUCKETS, KEPT, Purse
from llmclient._turns import Turns

MOST_PURSES: Final = 10_000
LOOKED_AT: Final = 16  # purses among which the one to forget is chosen


class _Pot:
    """The purses of one kind, longest unused first."""

    def __init__(self, kind: Kind, most: int) -> None:
        self.width: Final = kind.seconds / BUCKETS
        self.purses: Final[OrderedDict[str, Purse]] = OrderedDict()
        self._most = most
        self._forgotten: dict[int, int] = {}  # by bucket, the dearest purse forgotten in it

    def purse(self, name: str, at: float) -> tuple[Purse, int]:
        """The purse of that name, up to date, and the bucket under way."""
        now = int(at // self.width)
        purse = self.purses.get(name)
        if purse is None:
            self._make_room(now)
            purse = self.purses[name] = Purse()
            purse.add(self._floor(now), now)
        else:
            self.purses.move_to_end(name)
            purse.slide(now)
        return purse, now

    def _make_room(self, now: int) -> None:
        for name, purse in list(islice(self.purses.items(), 2)):
            purse.slide(now)
            if not purse.idle:
                break
            del self.purses[name]
        if len(self.purses) < self._most:
            return
        looked_at = [(purse, name) for name, purse in islice(self.purses.items(), LOOKED_AT) if purse.held == 0]
        for purse, _ in looked_at:
            purse.slide(now)
        if looked_at:
            least, name = min(looked_at, key=lambda each: each[0].spent)
            self._forgotten[now] = max(self._forgotten.get(now, 0), least.spent)
            del self.purses[name]

    def _floor(self, now: int) -> int:
        if not self._forgotten:
            return 0
        self._forgotten = {bucket: spent for bucket, spent in self._forgotten.items() if bucket > now - KEPT}
        return max(self._forgotten.values(), default=0)


class Ledger:
    """`blocking`: whether asking it waits for somebody else."""

    blocking: Final = False

    def __init__(self, *, hold_for: float = HOLD_FOR, most_purses: int = MOST_PURSES) -> None:
        self._hold_for = hold_for
        self._most = most_purses
        self._pots: dict[Kind, _Pot] = {}
        self._holds: OrderedDict[Hold, float] = OrderedDict()  # until when, soonest first
        self._at = 0.0
        self._last_now: float | None = None
        self._notes: deque[tuple[Hold, int | None, int | None]] = deque()  # to be settled with the next turn
        self._turns = Turns()
        self._pid = os.getpid()
        if hasattr(os, "register_at_fork"):
            me = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: _inherit(me))

    def __len__(self) -> int:
        """Purses remembered."""
        return sum(len(pot.purses) for pot in self._pots.values())

    def reserve(self, claims: Sequence[Claim], now: float) -> Hold | Exceeded:
        """Holds all claims or none."""
        with self._turn():
            at = self._advance(now)
            exceeded = over_one_request(claims)
            purses = {}
            for claim in claims:
                if claim.key.kind.per != "request":
                    purse, bucket = self._purse(claim.key, at)
                    purses[claim.key] = purse, claim.amount
                    if purse.spent + purse.held + claim.amount > claim.limit:
                        exceeded.append(self._exceeded(claim, purse, bucket, now - at))
            stopping, warned = judge(exceeded) if exceeded else (None, ())
            if stopping is not None:
                return stopping
            for purse, amount in purses.values():
                purse.held += amount
            hold = Hold(claims, warned, pid=self._pid)
            self._holds[hold] = at + self._hold_for
            return hold

    def settle(self, hold: Hold, tokens: int | None, nanousd: int | None, now: float) -> list[Soft]:
        """Turns what was held into what was used; None: unknown, the estimate stands. Says which budgets run short."""
        if self._turns.mine:
            self._notes.append((hold, tokens, nanousd))
            return []
        with self._turn():
            at = self._advance(now)
            return self._soft(hold, self._settle(hold, tokens, nanousd, at))

    def void(self, hold: Hold, now: float) -> None:
        """Frees what was held: the call was not made, or cost nothing. Does nothing once it is settled."""
        if self._turns.mine:
            self._notes.append((hold, 0, 0))
            return
        with self._turn():
            self._settle(hold, 0, 0, self._advance(now))

    void_later = void

    def _settle(self, hold: Hold, tokens: int | None, nanousd: int | None, at: float) -> dict[Key, tuple[Purse, int]]:
        """The purses it was held from, and the bucket under way of each."""
        amounts = hold.amounts
        purses = {key: self._purse(key, at) for key in amounts}
        if not hold.close():
            return purses
        late = self._holds.pop(hold, None) is None
        for key, claim in amounts.items():
            purse, bucket = purses[key]
            used = hold.actual(claim, tokens, nanousd)
            if late:  # counted as spent in full since it expired
                used = max(used - claim.amount, 0)
            else:
                purse.held -= claim.amount
            purse.add(used, bucket)
        return purses

    @staticmethod
    def _soft(hold: Hold, purses: dict[Key, tuple[Purse, int]]) -> list[Soft]:
        soft = []
        for claim in hold.claims:
            if claim.key.kind.per != "request":
                purse, bucket = purses[claim.key]
                if 100 * purse.spent >= SOFT_PERCENT * claim.limit and purse.tell(claim.limit, bucket):
                    soft.append(Soft(claim, purse.spent, claim.limit))
        return soft

    def _purse(self, key: Key, at: float) -> tuple[Purse, int]:
        pot = self._pots.get(key.kind)
        if pot is None:
            pot = self._pots[key.kind] = _Pot(key.kind, self._most)
        return pot.purse(key.name, at)

    def _exceeded(self, claim: Claim, purse: Purse, bucket: int, began: float) -> Exceeded:
        resets_at = None
        if claim.amount <= claim.limit:
            width = claim.key.kind.seconds / BUCKETS
            resets_at = began + purse.room_at(claim.amount, claim.limit, bucket) * width
        return Exceeded(claim, purse.spent + purse.held, claim.limit, resets_at)

    def _advance(self, now: float) -> float:
        """Seconds since the first question. A clock that is set back neither forgets spend nor stands still after."""
        if self._last_now is not None:
            self._at += max(now - self._last_now, 0.0)
        self._last_now = now
        while self._notes:
            self._settle(*self._notes.popleft(), self._at)
        while self._holds:
            hold, until = next(iter(self._holds.items()))
            if until > self._at:
                break
            del self._holds[hold]
            for key, claim in hold.amounts.items():
                purse, bucket = self._purse(key, self._at)
                purse.held -= claim.amount
                purse.add(claim.amount, bucket)
        return self._at

    def _turn(self) -> Turns:
        if self._pid != os.getpid():  # forked behind Python's back
            self._inherit()
        return self._turns

    def _inherit(self) -> None:
        """A child starts with what its parent had spent. What the parent holds is the parent's to settle."""
        self._pid = os.getpid()
        self._turns = Turns()  # a thread that does not exist here may have held the other one
        for pot in self._pots.values():
            for purse in pot.purses.values():
                purse.inherit()
        self._holds.clear()
        self._notes.clear()


def _inherit(ledger: "weakref.ref[Ledger]") -> None:
    alive = ledger()
    if alive is not None:
        alive._inherit()
