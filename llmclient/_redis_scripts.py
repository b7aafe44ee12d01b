"""Reserving and settling in Redis, each in one step of Redis's own clock.

A purse is a hash (spend by number of bucket, `held`, and `t<limit>` for what was told) and a sorted set of holds
(`id|amount`, by the time it expires). Lua counts in doubles, which are exact up to 2^53; HINCRBY adds in 64 bits.
"""

from typing import Final

from llmclient._purse import KEPT

_PURSE: Final = f"""
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local KEPT = {KEPT}

local function whole(number) return string.format('%.0f', number) end

local function add(hash, field, amount)
  if amount ~= 0 then redis.call('HINCRBY', hash, field, whole(amount)) end
end

-- What is spent and held now; what left the window is forgotten, holds that expired are spent in full.
local function open(hash, holds, width)
  local purse = {{hash = hash, holds = holds, bucket = math.floor(now / width), spent = 0, held = 0, buckets = {{}}}}
  for _, hold in ipairs(redis.call('ZRANGEBYSCORE', holds, '-inf', now)) do
    local amount = tonumber(string.match(hold, '|(%d+)$'))
    add(hash, whole(purse.bucket), amount)
    add(hash, 'held', -amount)
    redis.call('ZREM', holds, hold)
  end
  local fields = redis.call('HGETALL', hash)
  for i = 1, #fields, 2 do
    local bucket, amount = tonumber(fields[i]), tonumber(fields[i + 1])
    if fields[i] == 'held' then
      purse.held = amount
    elseif bucket and bucket <= purse.bucket - KEPT then
      redis.call('HDEL', hash, fields[i])
    elseif bucket then
      purse.spent = purse.spent + amount
      table.insert(purse.buckets, {{bucket, amount}})
    end
  end
  return purse
end

local function keep(purse, milliseconds)
  redis.call('PEXPIRE', purse.hash, milliseconds)
  redis.call('PEXPIRE', purse.holds, milliseconds)
end
"""

# KEYS: hash and holds of each purse. ARGV: hold id, seconds it is held for, number of purses; per purse amount, width
# of a bucket, milliseconds to keep it; then per claim its purse, its limit, and 1 when it stops the call.
# Answers 1 or 0, held or not; then per claim exceeded its number, what is spent, and seconds until it fits.
RESERVE: Final = (
    _PURSE
    + """
local function fits_in(purse, amount, limit, width)
  local excess = purse.spent + purse.held + amount - limit
  table.sort(purse.buckets, function(one, other) return one[1] < other[1] end)
  for _, bucket in ipairs(purse.buckets) do
    excess = excess - bucket[2]
    if excess <= 0 then return (bucket[1] + KEPT) * width - now end
  end
  return (purse.bucket + KEPT) * width - now
end

local purses, held, answer = {}, 1, {}
for i = 1, tonumber(ARGV[3]) do
  local at = 3 + (i - 1) * 3
  local purse = open(KEYS[2 * i - 1], KEYS[2 * i], tonumber(ARGV[at + 2]))
  purse.amount, purse.width, purse.keep = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), ARGV[at + 3]
  purses[i] = purse
end
local number = 0
for at = 4 + 3 * #purses, #ARGV, 3 do
  local purse, limit = purses[tonumber(ARGV[at])], tonumber(ARGV[at + 1])
  if purse.spent + purse.held + purse.amount > limit then
    if ARGV[at + 2] == '1' then held = 0 end
    local seconds = fits_in(purse, purse.amount, limit, purse.width)
    table.insert(answer, {number, whole(purse.spent + purse.held), string.format('%.6f', seconds)})
  end
  number = number + 1
end
if held == 1 then
  for _, purse in ipairs(purses) do
    add(purse.hash, 'held', purse.amount)
    redis.call('ZADD', purse.holds, now + tonumber(ARGV[2]), ARGV[1] .. '|' .. whole(purse.amount))
    keep(purse, purse.keep)
  end
end
table.insert(answer, 1, held)
return answer
"""
)

# KEYS as above. ARGV: hold id, 1 when an expired hold may be charged for what it cost more, number of purses; per purse
# the amount held, the amount used, width of a bucket, milliseconds to keep it; then per claim its purse, its limit, and
# the spend from which it is told. Answers per claim to be told its number and what is spent.
SETTLE: Final = (
    _PURSE
    + """
local purses, answer = {}, {}
for i = 1, tonumber(ARGV[3]) do
  local at = 3 + (i - 1) * 4
  local purse = open(KEYS[2 * i - 1], KEYS[2 * i], tonumber(ARGV[at + 3]))
  local amount, used = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  if redis.call('ZREM', purse.holds, ARGV[1] .. '|' .. whole(amount)) == 1 then
    add(purse.hash, 'held', -amount)
  elseif ARGV[2] == '1' then
    used = math.max(used - amount, 0)
  else
    used = 0
  end
  add(purse.hash, whole(purse.bucket), used)
  purse.spent = purse.spent + used
  keep(purse, ARGV[at + 4])
  purses[i] = purse
end
local number = 0
for at = 4 + 4 * #purses, #ARGV, 3 do
  local purse, told = purses[tonumber(ARGV[at])], 't' .. ARGV[at + 1]
  if purse.spent >= tonumber(ARGV[at + 2]) then
    local last = tonumber(redis.call('HGET', purse.hash, told) or purse.bucket - KEPT)
    if purse.bucket - last >= KEPT then
      redis.call('HSET', purse.hash, told, whole(purse.bucket))
      table.insert(answer, {number, whole(purse.spent)})
    end
  end
  number = number + 1
end
return answer
"""
)
