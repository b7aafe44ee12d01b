"""One set of buckets for all processes that use one key, kept in Redis. Optional: `share` does without.

Redis is asked over the network, so never under a lock, and from async code in a thread. An answer takes a fraction of
a millisecond; without one within a tenth of a second the local limiter decides alone, with its `share`, and Redis is
left in peace for a few seconds. What a process had reserved when it was killed comes back by refilling.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from llmclient import _quota
from llmclient._bucket import least_left, refill_range
from llmclient._queue import Want
from llmclient._quietly import warn
from llmclient._quota import DIMENSIONS, Dimension

if TYPE_CHECKING:
    from redis.commands.core import Script

PREFIX: Final = "llmclient:limits"
ANSWER_WITHIN: Final = 0.1  # seconds, for each of: connecting, greeting, asking
DOWN: Final = 5.0  # seconds without asking after Redis did not answer
UNSAID: Final = -1.0

# The rules of _bucket.py, for three buckets at once. The time is Redis's own, the same for all processes. When it is
# set back nothing is refilled at that moment; when it is set forward the buckets are full once too often.
SCRIPT: Final = """
local TARGET, CUT, SLOWEST, RECOVERY, NEWEST, LONGEST_BLOCK, KEPT = tonumber(ARGV[2]), 0.7, 0.1, 0.005, 60, 330, 600
local SETTLING = {5, 5, 30}
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local flat, had = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #flat, 2 do had[flat[i]] = tonumber(flat[i + 1]) end
local elapsed = math.max(0, now - (had.at or now))

local buckets = {}
local function tune(b)
  b.capacity, b.rate = b.limit * TARGET, b.refill * TARGET * b.factor
  b.level = math.min(b.level, b.capacity)
end
for i = 1, 3 do
  local b = {limit = had['limit' .. i], level = had['level' .. i], refill = had['refill' .. i]}
  b.factor = had['factor' .. i] or 1
  b.recent = (had['recent' .. i] or 0) * math.exp(-elapsed / SETTLING[i])
  b.reserved = had['reserved' .. i] or 0
  b.blocked = math.min(had['blocked' .. i] or 0, now + LONGEST_BLOCK)
  if b.limit then
    b.level = b.level + elapsed * b.refill * TARGET * b.factor
    b.factor = math.min(1, b.factor + elapsed * RECOVERY)
    tune(b)
  end
  buckets[i] = b
end
local function pending(b) return math.max(0, math.min(b.reserved, b.recent)) end
local function argument(bucket, which, of) return tonumber(ARGV[2 + (bucket - 1) * of + which]) end

local op = {}
function op.reserve()
  local wait = 0
  for i, b in ipairs(buckets) do
    wait = math.max(wait, b.blocked - now)
    if b.limit then
      local missing = math.min(argument(i, 1, 1), b.capacity) - b.level
      if missing > 0.001 then wait = math.max(wait, missing / b.rate) end
    end
  end
  if wait > 0 then return wait end
  for i, b in ipairs(buckets) do
    b.recent, b.reserved = b.recent + argument(i, 1, 1), b.reserved + argument(i, 1, 1)
    if b.limit then b.level = b.level - argument(i, 1, 1) end
  end
  return 0
end
function op.settle()
  for i, b in ipairs(buckets) do
    b.reserved = b.reserved - argument(i, 1, 2)
    if b.limit then b.level = math.min(b.capacity, b.level + argument(i, 1, 2) - argument(i, 2, 2)) end
  end
  return 0
end
function op.learn()
  local dated = tonumber(ARGV[15])
  if dated < (had.dated or 0) and now - had.learned < NEWEST then return 0 end
  had.dated, had.learned = dated, now
  for i, b in ipairs(buckets) do
    local limit, left, least, most = argument(i, 1, 4), argument(i, 2, 4), argument(i, 3, 4), argument(i, 4, 4)
    if limit > 0 then
      if b.limit ~= limit then
        b.level = b.limit and b.level or limit * TARGET - pending(b)
        b.limit, b.refill = limit, limit / 60
      end
      b.refill = math.max(least, math.min(b.refill, most))
      tune(b)
      if left >= 0 then b.level = math.min(b.level, left - pending(b)) end
    end
  end
  return 0
end
function op.cut()
  for i, b in ipairs(buckets) do
    local wait = argument(i, 1, 1)
    if wait >= 0 then
      if now >= b.blocked then b.factor = math.max(SLOWEST, b.factor * CUT) end
      b.blocked = math.max(b.blocked, now + wait)
      if b.limit then b.level = math.min(b.level, -pending(b)) end
    end
  end
  return 0
end

local answer = op[ARGV[1]]()
local function exact(number) return string.format('%.17g', number) end
local kept = {'at', exact(now), 'dated', exact(had.dated or 0), 'learned', exact(had.learned or 0)}
for i, b in ipairs(buckets) do
  for _, name in ipairs({'limit', 'level', 'refill', 'factor', 'recent', 'reserved', 'blocked'}) do
    if b[name] then
      kept[#kept + 1] = name .. i
      kept[#kept + 1] = exact(b[name])
    end
  end
end
redis.call('HSET', KEYS[1], unpack(kept))
redis.call('EXPIRE', KEYS[1], KEPT)
return exact(answer)
"""


class SharedLimits:
    """The buckets of one account. Thread-safe, and safe to carry through a fork.

    `account` names what the provider counts together; it is written to Redis, so a key must not be in it.
    Raises ImportError without the package redis, ValueError for an address that is none.
    """

    def __init__(
        self,
        url: str,
        *,
        account: str,
        target: float = 0.9,
        prefix: str = PREFIX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._script = _script(url)
        self._account = account
        self._target = target
        self._prefix = prefix
        self._clock = clock
        self._down_until = 0.0

    @property
    def up(self) -> bool:
        """Whether Redis is asked at present: the local limiter then needs no share of its own."""
        return self._clock() >= self._down_until

    def reserve(self, group: str, want: Want) -> float | None:
        """Takes a request and its tokens: 0. Above 0: seconds to wait, nothing was taken. None: Redis does not answer.

        Only a reservation that was taken may be settled.
        """
        return self._ask(group, "reserve", (1.0, *want))

    def settle(self, group: str, want: Want, *, requests: float, input: float, output: float) -> None:  # noqa: A002
        """Ends a reservation with what was used: nothing where nothing was sent."""
        self._ask(group, "settle", (1.0, requests, want.input, input, want.output, output))

    def learn(self, group: str, headers: Mapping[str, str], *, received_at_unix: float, age: float | None) -> None:
        """Takes in the limits an answer names, for all processes. `age`: seconds since its request was sent."""
        reading = _quota.read(headers, received_at=received_at_unix)
        if reading is None:
            return
        said: list[float] = []
        for quota in reading.quotas:
            if quota is None:
                said += (0.0, UNSAID, 0.0, 0.0)
            else:
                left = UNSAID if quota.remaining is None else least_left(quota)
                said += (float(quota.limit), left, *refill_range(quota, age))
        self._ask(group, "learn", (*said, reading.dated))

    def refused(self, group: str, dimensions: Sequence[Dimension], wait: float) -> None:
        """The provider refused: these dimensions, or all, are blocked for `wait` seconds and then slower."""
        self._ask(group, "cut", [wait if name in dimensions or not dimensions else UNSAID for name in DIMENSIONS])

    def _ask(self, group: str, what: str, numbers: Sequence[float]) -> float | None:
        if not self.up:
            return None
        key = f"{self._prefix}:{self._account}:{group}"
        try:
            return float(self._script([key], [what, self._target, *numbers]))
        except Exception as error:  # noqa: BLE001  # whatever is wrong with Redis, the call goes on without it
            self._down_until = self._clock() + DOWN
            warn("limits_shared", "shared rate limits are off, Redis does not answer: %r", error)
            return None


def _script(url: str) -> "Script":
    import redis  # noqa: PLC0415  # optional, and heavy
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    client: Any = redis.Redis.from_url(
        url, socket_timeout=ANSWER_WITHIN, socket_connect_timeout=ANSWER_WITHIN, retry=Retry(NoBackoff(), 0)
    )
    return client.register_script(SCRIPT)  # type: ignore[no-any-return]
