"""Answers given before, as an element of the fallback chain."""

import json
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from llmclient import _cache_key, _message, _similar
from llmclient._asked import Answered, Asked
from llmclient._durations import seconds_of
from llmclient._errors import Category
from llmclient._quietly import warn
from llmclient._run import Run
from llmclient._similar import Question, Similar
from llmclient.cache import Cache, Entry, MemoryCache, entry_of, in_memory

Steps = Generator[Run, Any, Answered | None]
_Source = Literal["cache", "stale_cache"]

HANDLED: Final[frozenset[Category]] = frozenset(
    {
        "timeout",
        "connection",
        "rate_limit",
        "ramp_limit",
        "overloaded",
        "server_error",
        "stream_interrupted",
        "circuit_open",
        "local_rate_limited",
        "deadline_exceeded",
        "spend_limit",
        "billing",
        "budget_exceeded",
    }
)


@dataclass(frozen=True, slots=True)
class Cached:
    """Answers given before: `fresh` ones instead of asking Claude, older ones when Claude does not answer.

    Lengths of time as "90s", "5m", "1d" or in seconds. Answers are kept per user, and a call without a user id is not
    cached; `shared=True` gives one user's answers to all others. In a store that several applications or tenants share
    user ids must be unique, or the stores have prefixes. `similar` also takes the answer to a question that
    was only much alike: the share of three-word runs that must be the same, see `llmclient._similar` for the whole
    rule; such an answer is never given while Claude can be asked, and only to questions this process has seen.
    """

    fresh: str | float | None = None
    max_stale: str | float | None = None
    similar: float | None = None
    cache: Cache | None = None
    """None: in memory, one for the whole process."""
    shared: bool = False
    _questions: Similar = field(default_factory=Similar, init=False, repr=False, compare=False)
    _fresh: float = field(default=0.0, init=False, repr=False, compare=False)
    _stale: float = field(default=0.0, init=False, repr=False, compare=False)
    _keep: float = field(default=0.0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.fresh is None and self.max_stale is None:
            raise ValueError("Cached: give fresh, max_stale or both")
        for name in ("fresh", "max_stale"):
            if (given := getattr(self, name)) is not None:
                seconds_of(given, f"Cached.{name}")
        object.__setattr__(self, "_fresh", _seconds(self.fresh))
        object.__setattr__(self, "_stale", _seconds(self.max_stale))
        object.__setattr__(self, "_keep", max(self._fresh, self._stale))
        if self.similar is not None:
            if not 0 < self.similar <= 1:
                raise ValueError(f"Cached.similar: {self.similar!r} must be above 0 and at most 1")
            if self.max_stale is None:
                raise ValueError("Cached.similar: a similar answer is for when Claude does not answer; give max_stale")

    @property
    def store(self) -> Cache:
        return in_memory() if self.cache is None else self.cache

    @property
    def keep(self) -> float:
        """Seconds for which an answer is of use here."""
        return self._keep

    def handles(self, category: Category) -> bool:
        return self.max_stale is not None and category in HANDLED

    def before(self, asked: Asked, now: float) -> Steps:
        """A fresh answer, looked for before Claude is asked. `now`: Unix time."""
        key = self.key(asked) if self.fresh is not None else None
        if key is None:
            return None
        store = self.store
        if type(store) is MemoryCache:  # neither waits nor fails
            entry = store.get(key)
        else:
            entry = yield from _get(store, key)
        return None if entry is None else _answered(entry, asked, now, "cache", self._fresh, 1.0)

    def steps(self, asked: Asked, now: float) -> Steps:
        """An older answer, now that Claude did not give one."""
        key = self.key(asked)
        if key is None:
            return None
        most = self._stale
        entry = yield from _get(self.store, key)
        answered = _answered(entry, asked, now, "stale_cache", most, 1.0)
        if answered is not None or self.similar is None:
            return answered
        question = self.question(asked)
        for similarity, other in [] if question is None else self._questions.find(question, self.similar):
            entry = yield from _get(self.store, other)
            answered = _answered(entry, asked, now, "stale_cache", most, similarity)
            if answered is not None:
                return answered
            self._questions.forget(other)
        return None

    def key(self, asked: Asked) -> str | None:
        """The key of the call's answer; None when it must not be kept."""
        if self.shared not in asked.memo:
            key = _cache_key.key_of(asked.body, asked.labels, shared=self.shared, variant=asked.variant)
            if key is None and not self.shared:
                warn("cache:user", "a call without a user id is not cached: name one, or say Cached(shared=True)")
            asked.memo[self.shared] = key
        found: str | None = asked.memo[self.shared]
        return found

    def question(self, asked: Asked) -> Question | None:
        return _similar.question_of(asked.body, asked.labels, shared=self.shared, variant=asked.variant)

    def note(self, asked: Asked, key: str) -> None:
        """The answer to this call is kept: questions like it may be given it."""
        if self.similar is not None and (question := self.question(asked)) is not None:
            self._questions.add(question, key)


def remember(
    chain: Iterable[object], asked: Asked, message: Mapping[str, Any] | None, now: float, written: bytes | None = None
) -> Generator[Run, Any, None]:
    """Keeps an answer for every `Cached` of the chain, each store asked once per key. Never raises.

    For answers of Claude's to the request as it was asked, after the filters: those of another model are not what will
    be asked for next time. None: an answer that could not be read.
    """
    try:
        stores = _to_keep([each for each in chain if isinstance(each, Cached)], asked, message, now, written)
    except Exception as error:  # noqa: BLE001  # the caller has an answer, and is to get it
        warn("cache:remember", "keeping an answer failed: %r", error)
        return
    for store, entries in stores:
        for key, entry in entries.items():
            yield from _set(store, key, entry)


def _to_keep(
    elements: list[Cached], asked: Asked, message: Mapping[str, Any] | None, now: float, written: bytes | None
) -> list[tuple[Cache, dict[str, Entry]]]:
    """What to keep where: for as long as the element with the longest use of it."""
    if message is None or not elements:
        return []
    keep = max([element.keep for element in elements])
    entry = entry_of(message, now=now, keep=keep, written=written)
    if entry is None:
        return []
    stores: dict[int, tuple[Cache, dict[str, Entry]]] = {}
    for element in elements:
        key = element.key(asked)
        if key is None:
            continue
        store = element.store
        _, entries = stores.setdefault(id(store), (store, {}))
        longest = max(element.keep, entries[key].keep if key in entries else 0.0)
        entries[key] = entry if longest == entry.keep else entry._replace(keep=longest)
        element.note(asked, key)
    return list(stores.values())


def _answered(
    entry: Entry | None, asked: Asked, now: float, source: _Source, most: float, similarity: float
) -> Answered | None:
    if entry is None or now - entry.stored_at >= most:
        return None
    try:
        message = json.loads(entry.body)
        usage = message.get("usage")
    except (ValueError, AttributeError):
        return None
    if not _message.is_complete(message):  # kept by somebody else, or damaged
        return None
    again = _message.again(message, call_id=asked.call_id)
    # Another machine's clock may be ahead of ours.
    return Answered(source, again, age=max(0.0, now - entry.stored_at), similarity=similarity, saved=usage)


def _get(cache: Cache, key: str) -> Generator[Run, Any, Entry | None]:
    try:
        entry: Entry | None = yield Run(cache.get, key, blocking=cache.blocking)
    except Exception as error:  # noqa: BLE001  # a cache that fails is a cache that has nothing
        warn("cache:get", "reading a cache failed, the call goes on without it: %r", error)
        return None
    return entry


def _set(cache: Cache, key: str, entry: Entry) -> Generator[Run, Any, None]:
    try:
        if type(cache) is MemoryCache:
            cache.set(key, entry)
        else:
            yield Run(cache.set, key, entry, blocking=cache.blocking)
    except Exception as error:  # noqa: BLE001  # what cannot be kept is not kept
        warn("cache:set", "keeping an answer in a cache failed: %r", error)


def _seconds(duration: str | float | None) -> float:
    return 0.0 if duration is None else seconds_of(duration, "Cached")
