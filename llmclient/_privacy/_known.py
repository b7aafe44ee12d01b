"""What was searched before: system prompts, tools and earlier turns of a conversation come again with every call.

No text is kept as it was written, only a hash of it under a key of this process's own, and what became of it where
something was removed: 2,048 texts and a mebibyte of redacted ones at most, the least recently seen go first.
"""

import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from sys import getsizeof
from typing import Final, NamedTuple

MOST_TEXTS: Final = 2_048
MOST_BYTES: Final = 1024 * 1024
LARGEST: Final = MOST_BYTES // 8  # of one that is kept
_SEPARATOR: Final = b"\xff"  # in no text


class Found(NamedTuple):
    """What became of neighbouring texts; `texts` is None when nothing did."""

    texts: tuple[str, ...] | None
    counts: Mapping[str, int]
    size: int


NOTHING: Final = Found(None, {}, 0)


class Known:
    """Threads can share it: the worst that can happen between two is that a text is searched again."""

    __slots__ = ("_bytes", "_found", "_key")

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._found: OrderedDict[bytes, Found] = OrderedDict()
        self._bytes = 0

    def hash_of(self, texts: Sequence[str], label: str) -> bytes:
        """Of all that the search depends on."""
        parts = (label, *texts)
        said = _SEPARATOR.join([part.encode("utf-8", "surrogatepass") for part in parts])
        return blake2b(said, digest_size=16, key=self._key).digest()

    def get(self, hashed: bytes) -> Found | None:
        found = self._found.get(hashed)
        if found is not None:
            with suppress(KeyError):  # another thread made room
                self._found.move_to_end(hashed)
        return found

    def put(self, hashed: bytes, before: Sequence[str], after: Sequence[str], counts: Mapping[str, int]) -> None:
        found = NOTHING
        if counts or list(before) != list(after):
            found = Found(tuple(after), dict(counts), sum(map(getsizeof, after)))
        if found.size > LARGEST or hashed in self._found:
            return
        self._found[hashed] = found
        self._bytes += found.size
        while len(self._found) > MOST_TEXTS or self._bytes > MOST_BYTES:
            try:
                _, gone = self._found.popitem(last=False)
            except KeyError:  # another thread was quicker
                return
            self._bytes -= gone.size
