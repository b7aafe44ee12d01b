"""Keeps answers in Django's cache: `Cached(max_stale="1d", cache=DjangoCache())`."""

from django.core.cache import caches

from llmclient.cache import Entry


class DjangoCache:
    """The cache named `alias` in the settings' CACHES."""

    blocking = True  # most of them wait for a server or a file

    def __init__(self, alias: str = "default", *, prefix: str = "llmclient:") -> None:
        self._alias = alias
        self._prefix = prefix

    def get(self, key: str) -> Entry | None:
        data = caches[self._alias].get(self._prefix + key)
        return Entry.from_bytes(data) if isinstance(data, bytes) else None

    def set(self, key: str, entry: Entry) -> None:
        caches[self._alias].set(self._prefix + key, entry.to_bytes(), timeout=max(1, round(entry.keep)))
