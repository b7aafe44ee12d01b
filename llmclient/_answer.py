"""What the server's answer means for a batch."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a batch."""

    verdict: Literal["stored", "later", "no_entry", "too_large", "refused"]
    status: int | None = None
    """None when no answer came."""
    retry_after: float | None = None
    """Seconds, when the server asked for a pause."""
    rejected: int = 0
    reason: str = ""
