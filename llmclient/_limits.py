"""What the rate-limit headers of an answer say about what is left."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

HEADERS: Final[Mapping[str, str]] = {
    f"{ours}_{what}": f"anthropic-ratelimit-{theirs}-{what}"
    for ours, theirs in (("requests", "requests"), ("input", "input-tokens"), ("output", "output-tokens"))
    for what in ("limit", "remaining")
}

_HEADERS: Final = tuple(HEADERS.items())
_PAIRS: Final = tuple((f"{what}_limit", f"{what}_remaining") for what in ("requests", "input", "output"))

DIGITS: Final = 9  # more than any limit has, less than the wire takes


def snapshot(headers: Mapping[str, str]) -> dict[str, int]:
    """The limits named by the headers, as the event spells them; a header that is missing or no number is left out."""
    found = {}
    for name, header in _HEADERS:
        value = headers.get(header)
        if value is not None and (whole := _whole(value)) is not None:
            found[name] = whole
    return found


def are_plenty(limits: Mapping[str, int]) -> bool:
    """Whether more than half of every limit is left."""
    for limit, left in _PAIRS:  # noqa: SIM110  # a generator would cost more than all the looking
        if limits.get(left, 0) * 2 <= limits.get(limit, 0):
            return False
    return True


# Limits are the same in every answer, and what is left of them often is.
@lru_cache(maxsize=1_024)
def _whole(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and len(value) <= DIGITS else None
