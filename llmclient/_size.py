"""How long a request is, in characters, without writing it out: what its input tokens are estimated from."""

from collections.abc import Mapping
from typing import Any, Final

PARTS: Final = ("system", "messages", "tools")
PICTURE: Final = 5_000  # characters a picture is reckoned as: about 1,500 tokens, whatever its bytes
KEEP: Final = frozenset({"type", "role", "cache_control", "media_type", "id"})


def characters_of(body: Mapping[str, Any]) -> int:
    """Characters of text in the request; pictures and documents count a fixed amount."""
    total = 0
    waiting: list[Any] = [body[part] for part in PARTS if part in body]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, dict):
            if value.get("type") == "base64":
                total += PICTURE
                continue
            waiting.extend(inner for name, inner in value.items() if name not in KEEP)
        elif isinstance(value, list | tuple):
            waiting.extend(value)
    return total
