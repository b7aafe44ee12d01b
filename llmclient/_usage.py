"""What a call used: the provider's usage object, unchanged where it is complete, estimated where it broke off."""

import math
from collections.abc import Mapping
from typing import Any, Final

CHARACTERS_PER_TOKEN: Final = 3.5  # of ordinary prose; only for streams that broke off


def merge(start: Mapping[str, Any], delta: Mapping[str, Any]) -> dict[str, Any]:
    """The usage of `message_start` overlaid with that of a later `message_delta`.

    Counts in a delta are cumulative, so they replace and never add. A null says "not in this event", not "nothing".
    """
    return {**start, **{key: value for key, value in delta.items() if value is not None}}


def estimate_tokens(characters: int) -> int:
    """Output tokens of so many received characters, rounded up."""
    return math.ceil(characters / CHARACTERS_PER_TOKEN)
