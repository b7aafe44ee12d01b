"""Optional: processes tell each other through Redis that a breaker has opened, so that not each has to find out.

Only that is shared: per model group, for how long. The counts stay local. Redis keeps the time with a key that expires,
so the clocks of the machines need not agree. Redis is never needed: whatever is wrong with it, each process goes on as
if it were alone.
"""

import math
from typing import TYPE_CHECKING, Any, Final

from llmclient._quietly import warn

if TYPE_CHECKING:
    import redis

SHARED: Final = "shared"
"""The reason to `trip` a breaker with for what was heard here. An opening with this reason must not be passed on to
`opened`: two processes would keep each other shut for ever."""

PREFIX: Final = "llmclient:open:"
FRESH: Final = 1.0  # seconds an answer of Redis is believed
HOLD_OFF: Final = 10.0  # seconds without a question after one that failed
SOCKET_TIMEOUT: Final = 0.1
LONGEST: Final = 86_400.0  # seconds
MOST_GROUPS: Final = 1000  # remembered at a time

# One process may know of a longer cooldown than the other: a spend limit outlasts an overload.
_EXTEND: Final = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], '1', 'PX', ARGV[1]) end
"""


def connect(url: str) -> "redis.Redis":
    """A client that gives up after a tenth of a second and never tries again, unless the URL says otherwise.

    Raises ValueError for a wrong URL.
    """
    import redis  # noqa: PLC0415  # optional
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    return redis.Redis.from_url(
        url,
        socket_timeout=SOCKET_TIMEOUT,
        socket_connect_timeout=SOCKET_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        protocol=2,  # the newer one lets a server under maintenance raise the timeouts
    )


class SharedOpening:
    """What the processes that share a Redis know of each other's breakers.

    `open_for` and `opened` do I/O: call them outside of every lock and, in async code, in a thread. With a URL each
    takes a few tenths of a second at worst (looking up the host's name aside); a client that is passed in keeps its own
    timeouts and retries, which by default take seconds. After a failure Redis is not asked again for 10 s. `known` does
    no I/O.
    """

    def __init__(self, url_or_client: "str | redis.Redis") -> None:
        self._client: Any = connect(url_or_client) if isinstance(url_or_client, str) else url_or_client
        self._heard: dict[str, tuple[float, float]] = {}  # group -> when it was asked for, when it is over
        self._hold_off_until = -math.inf

    def known(self, group: str, now: float) -> float | None:
        """What `open_for` would say, if it can be said without asking Redis, else None. `now`: monotonic seconds."""
        asked, over = self._heard.get(group, (-math.inf, -math.inf))
        fresh = 0 <= now - asked < FRESH or 0 <= self._hold_off_until - now <= HOLD_OFF
        return max(0.0, over - now) if fresh else None

    def open_for(self, group: str, now: float) -> float:
        """Seconds for which some process wants this group left alone; 0 when none does, or Redis does not answer."""
        known = self.known(group, now)
        if known is not None:
            return known
        # Noted first: while this thread asks, the others go on with what was known.
        self._remember(group, now, self._heard.get(group, (now, now))[1])
        try:
            left = int(self._client.pttl(PREFIX + group))
        except Exception as error:  # noqa: BLE001  # whatever Redis does, the host's call goes on
            self._hold_off_until = now + HOLD_OFF
            self._heard.clear()
            _told(error)
            return 0.0
        left_s = min(max(0, left) / 1000, LONGEST)
        self._remember(group, now, now + left_s)
        return left_s

    def opened(self, group: str, seconds: float) -> None:
        """Tells the others to leave this group alone for so long; 0 after a `reset`: they need not any more.

        Never shortens what another process has said, except to 0.
        """
        milliseconds = int(min(seconds, LONGEST) * 1000)
        try:
            if milliseconds > 0:
                self._client.eval(_EXTEND, 1, PREFIX + group, milliseconds)
            else:
                self._client.delete(PREFIX + group)
        except Exception as error:  # noqa: BLE001  # see open_for
            _told(error)
        self._heard.pop(group, None)

    def _remember(self, group: str, asked: float, over: float) -> None:
        if len(self._heard) >= MOST_GROUPS and group not in self._heard:
            self._heard.clear()
        self._heard[group] = (asked, over)


def _told(error: Exception) -> None:
    warn("shared breaker", "breakers are not shared: Redis did not answer (%s); each process uses its own", error)
