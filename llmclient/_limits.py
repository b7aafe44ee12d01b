"""What the rate-limit headers of an answer say about what is left."""

from collections.abc import Mapping
from typing import Final

HEADERS: Final[Mapping[str, str]] = {
    f"{ours}_{what}": f"anthropic-ratelimit-{theirs}-{what}"
    for ours, theirs in (("requests", "requests"), ("input", "input-tokens"), ("output", "output-tokens"))
    for what in ("limit", "remaining")
}

DIGITS: Final = 9  # more than any limit has, less than the wire takes


def snapshot(headers: Mapping[str, str]) -> dict[str, int]:
    """The limits named by the headers, as the event spells them; a header that is missing or no number is left out."""
    found = {}
    for name, header in HEADERS.items():
        value = headers.get(header)
        if value is not None and value.isascii() and value.isdigit() and len(value) <= DIGITS:
            found[name] = int(value)
    return found
