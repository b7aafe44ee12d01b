"""What became of the requests of a run, counted as they end. All times are seconds."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

RANKS: Final = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request that ended. Instants count from the start of the run."""

    intended: float
    sent: float
    ended: float
    first_token: float | None = None
    """The instant of the first token of a stream that had one."""
    category: str | None = None
    """Why it failed; None when it was answered."""
    degraded: bool = False
    """Answered, but not by the model that was asked."""
    statuses: tuple[int | None, ...] = ()
    """Of its attempts."""
    queued: float = 0.0
    """What the client had it wait for its turn before the first attempt."""
    input_tokens: int = 0
    output_tokens: int = 0
    nanousd: int | None = None
    """None: not known."""


@dataclass(slots=True)
class Tally:
    """Counts of a run under way."""

    planned: int
    outcomes: list[Outcome] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    unaffordable: int = 0
    """Not sent, for the agreed amount was used up."""

    def started(self) -> None:
        self.sent += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def ended(self, outcome: Outcome) -> None:
        self.in_flight -= 1
        self.outcomes.append(outcome)
        if outcome.category is not None:
            self.failed[outcome.category] += 1

    @property
    def answered(self) -> int:
        return len(self.outcomes) - self.failed.total()


def ranks(values: Sequence[float]) -> dict[str, float] | None:
    """The 50th, 95th and 99th percentile, each a value that occurred, and the largest; None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    return {name: ordered[math.ceil(share * len(ordered)) - 1] for name, share in RANKS}
