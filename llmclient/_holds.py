"""What a store of budgets answers to a reservation. The same for the store in memory and the one in Redis.

Reserve, then settle or void: money is held before the call and becomes spend, or free again, after it. A hold whose
caller vanished is counted as spent in full once `HOLD_FOR` is over, because the call may have been made.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from llmclient._budget_keys import MOST, Claim, Key

HOLD_FOR: Final = 900.0  # seconds; longer than any call takes
SOFT_PERCENT: Final = 80


class Exceeded(NamedTuple):
    """The claim did not fit. Amounts as its budget counts; `resets_at` is Unix time, None: it will never fit."""

    claim: Claim
    spent: int
    """Spent in the window, and held by calls under way."""
    limit: int
    resets_at: float | None
    away: bool = False
    """The store did not answer, so nobody knows what is spent."""


class Soft(NamedTuple):
    """Four fifths of a budget are spent; told once per window and purse."""

    claim: Claim
    spent: int
    limit: int


@dataclass(slots=True, eq=False)
class Hold:
    """Money put aside for one call. Settled or voided once; whatever comes after that does nothing."""

    claims: Sequence[Claim]
    warned: Sequence[Exceeded] = ()
    """Budgets that only tell, and are exceeded."""
    id: str = ""
    pid: int = field(default_factory=os.getpid)
    closed: bool = False

    def close(self) -> bool:
        """True for who is first to end it, in the process that made it: a forked child ends none of its parent's."""
        if self.closed or self.pid != os.getpid():
            return False
        self.closed = True
        return True

    def actual(self, claim: Claim, tokens: int | None, nanousd: int | None) -> int:
        """What the claim comes to. Unknown is not nothing: the estimate stands."""
        used = tokens if claim.key.kind.unit == "tokens" else nanousd
        return claim.amount if used is None else min(max(used, 0), MOST)

    @property
    def amounts(self) -> dict[Key, Claim]:
        """Each purse once, however many budgets watch it."""
        return {claim.key: claim for claim in self.claims if claim.key.kind.per != "request"}


def over_one_request(claims: Iterable[Claim]) -> list[Exceeded]:
    """The budgets per request that the call alone is over. There is nothing to remember about them."""
    return [
        Exceeded(claim, 0, claim.limit, None)
        for claim in claims
        if claim.amount > claim.limit and claim.key.kind.per == "request"
    ]


def judge(exceeded: Sequence[Exceeded]) -> tuple[Exceeded | None, tuple[Exceeded, ...]]:
    """The one that stops the call, raising before falling back, and those that only tell."""
    stopping = [each for each in exceeded if each.claim.budget.on_exceed != "warn"]
    raising = [each for each in stopping if each.claim.budget.on_exceed == "raise"]
    first = next(iter(raising or stopping), None)
    return first, tuple(each for each in exceeded if each.claim.budget.on_exceed == "warn")
