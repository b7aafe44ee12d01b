"""What is read of an answer's headers, as a plain dict: it is asked often, and the HTTP client's own are slow."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

FAST: Final = "anthropic-fast-"
LIMITS: Final = "anthropic-ratelimit-"
ALL: Final = f"{LIMITS}tokens-"  # of input and output together: what is read are those of each
READ: Final = frozenset({"date", "request-id", "retry-after", "retry-after-ms", "x-should-retry"})
KNOWN: Final = 256  # spellings that are remembered: a server could send another one each time


class Heard(NamedTuple):
    """What the headers of an answer say, and the limits among it as numbers."""

    headers: Mapping[str, str]
    limits: Mapping[str, int]


class _Spellings(dict[bytes, str | None]):
    """Names as they are sent, and as they are asked for; None for those nobody asks for."""

    def __missing__(self, sent: bytes) -> str | None:
        name = sent.lower().decode("latin-1")
        asked_for = name if name in READ or (name.startswith((LIMITS, FAST)) and not name.startswith(ALL)) else None
        if len(self) < KNOWN:
            self[sent] = asked_for
        return asked_for


_spellings: Final = _Spellings()


def plain(response: Any, *, fast: bool = False) -> dict[str, str]:
    """Those that are read, by name in small letters. Of a header sent twice the last one counts; none of those is.

    The limits of a `fast` call are those of the fast pool, told by headers of their own.
    """
    names = _spellings
    found = {name: value.decode("latin-1") for sent, value in response.headers.raw if (name := names[sent])}
    if not fast:
        return found
    others = {name: value for name, value in found.items() if not name.startswith(LIMITS)}
    return others | {name.replace(FAST, LIMITS): value for name, value in found.items() if name.startswith(FAST)}
