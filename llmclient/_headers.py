"""The headers of an answer as a plain dict: they are asked for a dozen things, and the HTTP client's own are slow."""

from functools import lru_cache
from typing import Any, Final

FAST: Final = "anthropic-fast-"
LIMITS: Final = "anthropic-ratelimit-"


@lru_cache(maxsize=256)
def _name(raw: bytes) -> str:
    return raw.lower().decode("latin-1")


def plain(response: Any, *, fast: bool = False) -> dict[str, str]:
    """By name in small letters. Of a header sent twice the last one counts; none of those we read is.

    The limits of a `fast` call are those of the fast pool, told by headers of their own.
    """
    found = {_name(name): value.decode("latin-1") for name, value in response.headers.raw}
    if not fast:
        return found
    others = {name: value for name, value in found.items() if not name.startswith(LIMITS)}
    return others | {name.replace(FAST, LIMITS): value for name, value in found.items() if name.startswith(FAST)}
