"""Where answers are kept: in memory, in Redis, or wherever an object with `get` and `set` puts them.

A cache must not be felt when it fails: what it cannot read is a miss, what it cannot keep is not kept. Answers are kept
as they are, so a shared store holds what Claude said, readable by whoever may read the store.
"""

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from llmclient import _message
from llmclient._forklock import ForkLock
from llmclient._quietly import warn

ENTRY_BYTES: Final = 400  # of an entry in memory, beside its body and its key
PAUSE: Final = 1.0  # seconds a store that failed is left alone: a dead one must not cost every call its timeout


class Entry(NamedTuple):
    """An answer that is kept: the message as JSON, as Claude gave it."""

    body: bytes
    model: str
    stored_at: float
    """Unix time."""
    keep: float
    """Seconds from then for which it is of use; a store may drop it afterwards."""

    def to_bytes(self) -> bytes:
        """For a store that keeps bytes."""
        head = {"model": self.model, "stored_at": self.stored_at, "keep": self.keep}
        return json.dumps(head).encode() + b"\n" + self.body

    @classmethod
    def from_bytes(cls, data: bytes) -> "Entry | None":
        """What `to_bytes` wrote; None for anything else."""
        line, _, body = data.partition(b"\n")
        try:
            head = json.loads(line)
            return cls(body, str(head["model"]), float(head["stored_at"]), float(head["keep"]))
        except (ValueError, TypeError, KeyError):
            return None


class Cache(Protocol):
    """What keeps entries. May raise: then nothing was found, or kept."""

    blocking: bool
    """Whether it waits for something outside the process; async clients then ask it in a thread."""

    def get(self, key: str) -> Entry | None:
        """The entry kept under the key, however old it is."""

    def set(self, key: str, entry: Entry) -> None:
        """Keeps the entry, instead of one there may be; for `entry.keep` seconds or less."""


def entry_of(message: Mapping[str, Any], *, now: float, keep: float, written: bytes | None = None) -> Entry | None:
    """The entry of an answer given at `now` (Unix time); None when it must not be kept.

    Only what is complete and stands for itself is: no refusal, nothing cut off, no call of a tool.
    """
    if not _message.is_complete(message):
        return None
    try:
        body = written or json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError):
        return None
    return Entry(body, str(message.get("model")), now, keep)


class MemoryCache:
    """Keeps entries in this process: those used last, within a number of entries and of bytes."""

    blocking = False

    def __init__(
        self,
        most_entries: int = 1_000,
        most_bytes: int = 16 * 1024 * 1024,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._clock = clock
        self._lock = ForkLock()
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """Memory the entries are reckoned to take."""
        return self._bytes

    def get(self, key: str) -> Entry | None:
        with self._lock.held:
            entry = self._entries.get(key)
            if entry is None:
                return None
            if entry.stored_at + entry.keep <= self._clock():
                self._drop(key)
                return None
            self._entries.move_to_end(key)
            return entry

    def set(self, key: str, entry: Entry) -> None:
        size = _size(key, entry)
        with self._lock.held:
            if key in self._entries:
                self._drop(key)
            if size > self._most_bytes:
                return
            self._bytes += size
            self._entries[key] = entry
            while len(self._entries) > self._most_entries or self._bytes > self._most_bytes:
                self._drop(next(iter(self._entries)))

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock.held:
            self._entries.clear()
            self._bytes = 0

    def _drop(self, key: str) -> None:
        self._bytes -= _size(key, self._entries.pop(key))


class RedisCache:
    """Keeps entries in Redis, for all processes that use it. While Redis is away every `get` is a miss.

    `timeout`: seconds one question may take, at most. Needs the package `redis`.
    """

    blocking = True

    def __init__(self, url: str, *, prefix: str = "llmclient:", timeout: float = 0.1, largest: int = 1024 * 1024):
        # Not at the top: whoever keeps nothing in Redis does not need it installed.
        from redis import Redis, RedisError  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415

        self._failure = RedisError
        # Its own retries would multiply the timeout.
        never = Retry(NoBackoff(), 0)
        self._redis = Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=never)
        self._prefix = prefix
        self._largest = largest
        self._rests_until = 0.0

    def get(self, key: str) -> Entry | None:
        data = self._ask(lambda: self._redis.get(self._prefix + key))
        return Entry.from_bytes(data) if isinstance(data, bytes) else None

    def set(self, key: str, entry: Entry) -> None:
        data = entry.to_bytes()
        if len(data) <= self._largest:
            self._ask(lambda: self._redis.set(self._prefix + key, data, px=max(1, round(entry.keep * 1000))))

    def _ask(self, question: Callable[[], Any]) -> Any:
        if time.monotonic() < self._rests_until:
            return None
        try:
            return question()
        except self._failure as error:
            self._rests_until = time.monotonic() + PAUSE
            warn("cache:redis", "the cache in Redis does not answer, calls go on without it: %r", error)
            return None


def in_memory() -> MemoryCache:
    """The one that is used where none is given; one per process."""
    return _IN_MEMORY


def _size(key: str, entry: Entry) -> int:
    return len(entry.body) + len(key) + len(entry.model) + ENTRY_BYTES


_IN_MEMORY: Final = MemoryCache()
