"""Budgets shared by many processes, in Redis: the contract of `_ledger.Ledger`, with Redis's clock instead of `now`.

Asking it waits for the network: a fifth of a second at most for connecting and for each answer. While Redis is away,
calls are let through under budgets of this process alone (`when_away="allow"`) or stopped ("block"), and for `PAUSE`
seconds nobody waits for it again.
"""

import contextlib
import math
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Final, Literal

from llmclient._budget_keys import MOST, Claim, Key
from llmclient._holds import HOLD_FOR, SOFT_PERCENT, Exceeded, Hold, Soft, judge, over_one_request
from llmclient._ledger import Ledger
from llmclient._purse import BUCKETS, KEPT
from llmclient._quietly import warn
from llmclient._redis_scripts import RESERVE, SETTLE

PAUSE: Final = 5.0  # seconds
TIMEOUT: Final = 0.2
REMEMBERED: Final = 1_000  # holds that could not be settled, to be settled when Redis is back
AT_ONCE: Final = 50


class RedisLedger:
    """`url` as redis-py takes it; several programs may share one Redis under different prefixes."""

    blocking: Final = True

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "llmclient",
        when_away: Literal["allow", "block"] = "allow",
        hold_for: float = HOLD_FOR,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        import redis  # noqa: PLC0415  # an extra, loaded by those who use it
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415

        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),  # a question asked twice would be counted twice
        )
        self._reserve = self._redis.register_script(RESERVE)
        self._settle = self._redis.register_script(SETTLE)
        self._failures = (redis.RedisError, OSError)
        # The tag keeps all purses in one slot of a cluster: a call may pay from several.
        self._name: Final = f"{prefix}:{{budget}}:"
        self._when_away = when_away
        self._hold_for = hold_for
        self._clock = clock
        self._away_until = -math.inf
        self._local = Ledger(hold_for=hold_for)
        self._unsettled: deque[tuple[Hold, int | None, int | None]] = deque(maxlen=REMEMBERED)

    def reserve(self, claims: Sequence[Claim], now: float) -> Hold | Exceeded:
        """Holds all claims or none."""
        exceeded = over_one_request(claims)
        stopping, warned = judge(exceeded)
        if stopping is not None:
            return stopping
        hold = Hold(claims, warned, id=os.urandom(8).hex())
        amounts = hold.amounts
        if not amounts:
            return hold
        watched = [claim for claim in claims if claim.key in amounts]
        arguments: list[Any] = [hold.id, repr(self._hold_for), len(amounts)]
        for key, claim in amounts.items():
            arguments += [claim.amount, repr(_width(key)), self._kept_ms(key)]
        for claim in watched:
            stops = int(claim.budget.on_exceed != "warn")
            arguments += [list(amounts).index(claim.key) + 1, min(claim.limit, MOST), stops]
        answer = self._ask(self._reserve, amounts, arguments)
        if answer is None:
            self._unsettled.append((hold, 0, 0))  # it may be held all the same
            return self._without(claims, now)
        held, *over = answer
        exceeded += [_exceeded(watched[int(number)], int(spent), float(wait) + now) for number, spent, wait in over]
        stopping, hold.warned = judge(exceeded)
        return hold if held or stopping is None else stopping

    def settle(self, hold: Hold, tokens: int | None, nanousd: int | None, now: float) -> list[Soft]:
        """Turns what was held into what was used; None: unknown, the estimate stands. Says which budgets run short."""
        if not hold.id:
            return self._local.settle(hold, tokens, nanousd, now)
        if not hold.close() or not hold.amounts:
            return []
        answer = self._ask(self._settle, hold.amounts, _settling(hold, tokens, nanousd, self._kept_ms, late=1))
        if answer is None:
            self._unsettled.append((hold, tokens, nanousd))
            return []
        watched = [claim for claim in hold.claims if claim.key in hold.amounts]
        return [Soft(watched[int(number)], int(spent), watched[int(number)].limit) for number, spent in answer]

    def void(self, hold: Hold, now: float) -> None:
        """Frees what was held: the call was not made, or cost nothing. Does nothing once it is settled."""
        self.settle(hold, 0, 0, now)

    def void_later(self, hold: Hold, now: float) -> None:
        """The same without waiting, for where nobody may wait: it is done along with the next question."""
        if not hold.id:
            self._local.void(hold, now)
        elif hold.close() and hold.amounts:
            self._unsettled.append((hold, 0, 0))

    def _without(self, claims: Sequence[Claim], now: float) -> Hold | Exceeded:
        stopping = [claim for claim in claims if claim.budget.on_exceed != "warn" and claim.key.kind.per != "request"]
        if self._when_away == "allow" or not stopping:
            return self._local.reserve(claims, now)
        return Exceeded(stopping[0], 0, stopping[0].limit, now + PAUSE, away=True)

    def _ask(self, script: Any, purses: dict[Key, Claim], arguments: list[Any]) -> Any:
        """The answer of a script; None while Redis is away."""
        if self._clock() < self._away_until:
            return None
        try:
            answer = script(keys=self._keys(purses), args=arguments)
        except self._failures as error:
            self._away(error)
            return None
        if self._unsettled:
            self._catch_up()
        return answer

    def _away(self, error: Exception) -> None:
        self._away_until = self._clock() + PAUSE
        do = "are kept by this process alone" if self._when_away == "allow" else "stop the calls they apply to"
        warn("redis", "the budgets in Redis cannot be reached (%s); until they can, they %s", error, do)

    def _catch_up(self) -> None:
        """Settles what could not be settled before, all in one question. Doing it twice does nothing."""
        found: list[tuple[Hold, int | None, int | None]] = []
        with contextlib.suppress(IndexError):  # another thread was quicker
            while len(found) < AT_ONCE:
                found.append(self._unsettled.popleft())
        together = self._redis.pipeline(transaction=False)
        for hold, tokens, nanousd in found:
            if hold.pid == os.getpid():
                # Not charged when it is gone: then it was settled after all, or has expired.
                arguments = _settling(hold, tokens, nanousd, self._kept_ms, late=0)
                self._settle(keys=self._keys(hold.amounts), args=arguments, client=together)
        try:
            together.execute()
        except self._failures as error:
            self._away(error)
            self._unsettled.extend(found)

    def _keys(self, purses: dict[Key, Claim]) -> list[str]:
        digests = [blake2b(repr(key).encode(errors="replace"), digest_size=16).hexdigest() for key in purses]
        return [f"{self._name}{digest}{part}" for digest in digests for part in ("", ":holds")]

    def _kept_ms(self, key: Key) -> int:
        return math.ceil(1000 * (self._hold_for + (KEPT + 1) * _width(key)))


def _settling(
    hold: Hold, tokens: int | None, nanousd: int | None, kept_ms: Callable[[Key], int], *, late: int
) -> list[Any]:
    amounts = hold.amounts
    arguments: list[Any] = [hold.id, late, len(amounts)]
    for key, claim in amounts.items():
        arguments += [claim.amount, hold.actual(claim, tokens, nanousd), repr(_width(key)), kept_ms(key)]
    for claim in hold.claims:
        if claim.key in amounts:
            limit = min(claim.limit, MOST)
            arguments += [list(amounts).index(claim.key) + 1, limit, -(-SOFT_PERCENT * limit // 100)]
    return arguments


def _exceeded(claim: Claim, spent: int, resets_at: float) -> Exceeded:
    return Exceeded(claim, spent, claim.limit, resets_at if claim.amount <= claim.limit else None)


def _width(key: Key) -> float:
    return key.kind.seconds / BUCKETS
