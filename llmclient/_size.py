"""How long a request is, in characters, without writing it out: what its input tokens are estimated from."""

from collections.abc import Mapping
from typing import Any, Final

PICTURE: Final = 5_000  # characters a picture is reckoned as: about 1,500 tokens, whatever its bytes
KEEP: Final = frozenset({"type", "role", "cache_control", "media_type", "id"})


def characters_of(body: Mapping[str, Any]) -> int:
    """Characters of text in the request; pictures and documents count a fixed amount."""
    total = 0
    waiting: list[Any] = [body.get("tools"), body.get("messages"), body.get("system")]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, dict):
            if value.get("type") == "base64":
                total += PICTURE
                continue
            for name, inner in value.items():
                if name not in KEEP:
                    waiting.append(inner)  # a generator costs more than the two keys there are
    return total
