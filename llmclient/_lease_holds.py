"""What a reservation of leased money is answered: held, or short of it and why."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from llmclient._lease_pool import Pool
from llmclient._server_policy import Demand


class Short(NamedTuple):
    """The demand was not met. `unknown`: because there is no lease, not because nothing is left."""

    demand: Demand
    spent: int
    limit: int
    resets_at: float | None
    """Unix time, when the server said it."""
    unknown: bool


@dataclass(slots=True, eq=False)
class LeaseHold:
    """Leased money put aside for one call; ended once, in the process that made it."""

    shares: Sequence[tuple[Pool, int]]
    warned: Sequence[Short] = ()
    pid: int = field(default_factory=os.getpid)
    closed: bool = False


def short_of(demand: Demand, pool: Pool) -> Short:
    """Why the pool does not meet the demand."""
    if pool.refused is not None and pool.refused.covers(demand.amount):
        return Short(demand, pool.refused.spent, pool.refused.limit, pool.refused.resets_at, unknown=False)
    return Short(demand, demand.budget.spent, demand.budget.limit, None, unknown=True)
