"""When the sender sends. Pure: numbers in, seconds out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

LONGEST_BACKOFF: Final = 30.0  # seconds
LONGEST_RETRY_AFTER: Final = 300.0


@dataclass(frozen=True, slots=True)
class Pace:
    """When a batch is due. Seconds, and events."""

    interval: float = 2.0
    jitter: float = 0.2
    """The interval varies by this share, so that a fleet does not flush in step."""
    heartbeat: float = 30.0
    enough_events: int = 200
    enough_bytes: int = 1024 * 1024

    def flush_in(self, chance: Callable[[], float]) -> float:
        """Seconds until the next flush; `chance` gives [0, 1)."""
        return self.interval * (1 + self.jitter * (2 * chance() - 1))

    def backoff(self, failures: int, asked: float | None, chance: Callable[[], float]) -> float:
        """Seconds to wait after so many failures in a row; what the server asked for is the least."""
        full_jitter = chance() * min(LONGEST_BACKOFF, 2.0 ** min(failures, 10))
        return max(full_jitter, min(asked or 0.0, LONGEST_RETRY_AFTER))
