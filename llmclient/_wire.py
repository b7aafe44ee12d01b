"""How the wire writes what is in more than one place of it: instants, and how long words may be (docs/events.md)."""

from datetime import UTC, datetime
from typing import Final

NAME_LENGTH: Final = 200
MODEL_LENGTH: Final = 100
WORD_LENGTH: Final = 64
MESSAGE_LENGTH: Final = 500


def instant(unix_ms: int) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return f"{datetime.fromtimestamp(unix_ms // 1000, UTC).isoformat()[:19]}.{unix_ms % 1000:03d}Z"
