"""Several API keys instead of one: a key that is refused rests, and the next one is used. Pure but for the vault.

Keys are told apart by an alias, in telemetry too, and it is never made of the key: not of its end either, which would
tell two keys apart for whoever has them, and shorten the search for whoever has not. The key itself is in nothing that
is printed.
"""

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from llmclient._forklock import ForkLock
from llmclient._quietly import warn
from llmclient._run import Run, is_async

REST: Final = 300.0  # seconds a refused key is not used
PAUSE: Final = 10.0  # seconds in which the vault is not asked for the same key again


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the pool."""

    alias: str
    secret: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What a request is sent with to use this key and no other."""
        return {"Authorization": f"Bearer {self.secret}"}


class Keys:
    """A pool of API keys: `Keys("sk-…", "sk-…")`, `Keys({"primary": "sk-…", "spare": "sk-…"})` or `Keys(vault)`.

    The first key that does not rest is used. A key that is refused (401) rests for 5 minutes and is then tried again;
    a call tries each key once. Aliases are `key-1`, `key-2` … unless given. A vault is a function that returns a key,
    several, or a mapping: asked at the first call and when its keys are refused, by one caller at a time. It may be
    async with async clients. ValueError when there is no key, or one twice.
    """

    def __init__(self, *keys: str | Mapping[str, str] | Callable[[], Any]) -> None:
        self._lock = ForkLock()
        self._fetching = ForkLock()
        self._turns: Any = None
        self._vault: Callable[[], Any] | None = None
        self._keys: tuple[Key, ...] = ()
        self._rests: dict[Key, float] = {}
        self._made = 0  # aliases given out
        self._generation = 0  # answers of the vault
        self._fetched_at = float("-inf")
        if len(keys) == 1 and callable(keys[0]):
            self._vault = keys[0]
        else:
            self._keys = self._named(keys[0] if len(keys) == 1 else keys)

    def __repr__(self) -> str:
        return f"Keys({', '.join(key.alias for key in self._keys) or 'from a vault'})"

    @property
    def needs_async(self) -> bool:
        """Whether only async clients can use it."""
        return self._vault is not None and is_async(self._vault)

    # --- the pool -------------------------------------------------------------------------------------------------

    def current(self, now: float) -> Key | None:
        """The key to use: when all rest, the one that has rested longest. None: the vault was not asked yet.

        `now`: seconds of a monotonic clock, here and below.
        """
        with self._lock:
            for key in self._keys:
                if self._rests.get(key, now) <= now:
                    return key
            return min(self._keys, key=lambda key: self._rests[key], default=None)

    def rejected(self, key: Key, now: float, tried: Iterable[Key] = ()) -> Key | None:
        """The key was refused and rests from now on; the next one that does not, or None. `tried`: by this call."""
        tried = {key, *tried}
        with self._lock:
            if key in self._keys:
                self._rests[key] = now + REST
            for other in self._keys:
                if other not in tried and self._rests.get(other, now) <= now:
                    return other
        return None

    # --- for the engine -------------------------------------------------------------------------------------------

    def first(self, now: float) -> Generator[Run, Any, Key]:
        """The key for the first attempt of a call. What the vault raises is the caller's."""
        if self._vault is not None and not self._keys:
            yield self._fetch(self._generation, now)
        key = self.current(now)
        assert key is not None  # a vault that gives none was told so
        return key

    def next(self, key: Key, now: float, tried: Iterable[Key] = ()) -> Generator[Run, Any, Key | None]:
        """The key for the next attempt after a 401; None when there is none left, and the 401 is the caller's."""
        seen = self._generation
        other = self.rejected(key, now, tried)
        if other is not None or self._vault is None:
            return other
        if now - self._fetched_at < PAUSE and key in self._keys:
            return None
        try:
            yield self._fetch(seen, now)
        except Exception as error:  # noqa: BLE001  # the 401 is what the caller should see
            warn("keys:vault", "asking the vault for another API key failed: %s", type(error).__name__)
            return None
        return self.rejected(key, now, tried)

    # --- the vault ------------------------------------------------------------------------------------------------

    def _fetch(self, seen: int, now: float) -> Run:
        if self.needs_async:
            return Run(self._fetch_async, seen, now)
        return Run(self._fetch_now, seen, now, blocking=True)

    def _fetch_now(self, seen: int, now: float) -> None:
        assert self._vault is not None
        with self._fetching:
            if self._generation == seen:  # else somebody else has asked while this one waited
                self._take(self._vault(), now)

    async def _fetch_async(self, seen: int, now: float) -> None:
        assert self._vault is not None
        async with self._turn():
            if self._generation == seen:
                self._take(await self._vault(), now)

    def _turn(self) -> Any:
        """A lock of the event loop this runs in."""
        import anyio  # noqa: PLC0415  # it comes with the SDK, which is not loaded with this package
        from anyio.lowlevel import RunVar  # noqa: PLC0415

        with self._lock:
            if self._turns is None:
                self._turns = RunVar("llmclient_keys")
        if (turn := self._turns.get(None)) is None:
            self._turns.set(turn := anyio.Lock())
        return turn

    def _take(self, given: Any, now: float) -> None:
        keys = self._named(given)
        with self._lock:
            self._keys = keys
            self._rests = {key: until for key, until in self._rests.items() if key in keys}
            self._generation += 1
            self._fetched_at = now

    def _named(self, given: Any) -> tuple[Key, ...]:
        if isinstance(given, Mapping):
            keys = tuple(Key(str(alias), secret) for alias, secret in given.items())
        else:
            secrets = (given,) if isinstance(given, str) else tuple(given)
            known = {key.secret: key for key in self._keys}
            keys = tuple(known.get(secret) or Key(self._new_alias(), secret) for secret in secrets)
        # Nothing of a wrong key in the message: it may be a right one in the wrong place.
        if not keys or not all(_is_usable(key.secret) for key in keys):
            raise ValueError("Keys: give at least one API key, each a text of plain characters")
        if len({key.secret for key in keys}) < len(keys):
            raise ValueError("Keys: one key is given twice")
        return keys

    def _new_alias(self) -> str:
        self._made += 1
        return f"key-{self._made}"


def _is_usable(secret: object) -> bool:
    return isinstance(secret, str) and bool(secret.strip()) and secret.isascii() and secret.isprintable()
