"""What this process may spend of one budget of the server: leased amounts, and what is owed against them. Pure.

Leases of one pool are worth the same, so spend is not pinned to one of them: what is owed (spent and not yet posted, or
held by calls under way) stands against all. A lease is used until `use_until`; afterwards it only covers what is owed
already, until it is posted. Nothing is posted that would leave a call under way uncovered.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from llmclient._server_policy import ServerBudget

IDLE: Final = 30.0  # seconds without a reservation after which leases are given back
LEAD: Final = 5.0  # seconds before its end a lease is replaced


@dataclass(slots=True)
class Lease:
    id: str
    amount: int
    use_until: float


class Refused(NamedTuple):
    """The server had less left than was asked for."""

    spent: int
    """With what is leased to others."""
    limit: int
    again_at: float
    """Not asked again before, of the caller's clock."""
    resets_at: float | None
    """Unix time, as the server says."""
    debt: int = 0
    """What this pool owed beyond its leases then: it comes out of what is left."""

    def covers(self, amount: int) -> bool:
        """Whether the refusal is one of this amount, too."""
        return amount > self.limit - self.spent - self.debt


class Wish(NamedTuple):
    amount: int
    least: int
    """Less does not help."""
    debt: int
    """What is owed already beyond all leases; wanted on top."""


@dataclass(slots=True, eq=False)
class Pool:
    """`key` is whose share: a user's, a session's, a feature's, or of all ("")."""

    budget: ServerBudget
    key: str
    period: str | None
    """None: the period the client knew is over, and it has not heard of the next."""
    leases: list[Lease] = field(default_factory=list)
    unposted: int = 0
    held: int = 0
    need: int = 0
    """The last amount that found no lease."""
    asking: bool = False
    refused: Refused | None = None
    used_at: float = 0.0
    closing: bool = False
    """Its period is over, or its budget gone: nothing is leased any more, what is owed is posted."""
    forgotten: bool = False
    """The book has let go of it."""

    def room(self, now: float) -> int:
        """What may still be reserved; below 0 when more is owed than was leased."""
        usable = sum(lease.amount for lease in self.leases if lease.use_until > now)
        ended = sum(lease.amount for lease in self.leases if lease.use_until <= now)
        return usable - max(self.unposted + self.held - ended, 0)

    def admits(self, amount: int, now: float) -> bool:
        """By a lease or, while nobody knows whether there would be one, by the allowance."""
        room = self.room(now)
        if amount <= room:
            return True
        if self.refused is not None and self.refused.covers(amount):
            return False
        return amount - room <= self.budget.allowance

    def wish(self, now: float) -> Wish | None:
        """What to ask the server for now; None: nothing."""
        if self.closing or self.asking or self.period is None:
            return None
        starved = self.need > max(self.room(now), 0)
        least = self.need if starved else 1
        if self.refused is not None and now < self.refused.again_at and self.refused.covers(least):
            return None
        room = self.room(now + LEAD)
        active = now - self.used_at < IDLE and self.refused is None
        if not starved and not (active and 2 * room < self.budget.chunk):
            return None
        return Wish(max(self.budget.chunk, least), least, max(-room, 0))

    def payments(self, now: float) -> list[tuple[Lease | None, int]]:
        """What to post now: (lease, spent of it), None for what was spent without one. Counted as posted at once."""
        found: list[tuple[Lease | None, int]] = []
        resting = self.closing or (now - self.used_at >= IDLE and self.held == 0)
        for lease in list(self.leases):
            used_up = self.unposted >= lease.amount
            if not (used_up or resting or lease.use_until <= now):
                continue
            last = len(self.leases) == 1 and self.held == 0 and not self.asking
            spent = self.unposted if last else min(self.unposted, lease.amount)
            covered = sum(other.amount for other in self.leases if other is not lease)
            if used_up or self.held == 0 or self.unposted - spent + self.held <= covered:
                self.leases.remove(lease)
                self.unposted -= spent
                found.append((lease, spent))
        if not self.leases and not self.asking and self.unposted and (resting or self.refused is not None):
            found.append((None, self.unposted))
            self.unposted = 0
        return found

    def idle(self, now: float) -> bool:
        """Nothing is owed, leased or awaited, and nobody has called for a while."""
        return now - self.used_at >= IDLE and not (self.leases or self.unposted or self.held or self.asking)
