-- Append one event, in one atomic step with what its idempotency keys and its project's quota ask for.
--
-- KEYS  the stream, a marker for each idempotency key, and, where there is a quota, its state
-- ARGV  for each key in its place: the most entries that the stream may have; a marker's life in seconds and its
--       fingerprint, as '86400 fingerprint' (empty where the key alone decides); the quota's events a second and its
--       burst, as 'GCRA 100 50'. Then the entry's names and values
--
-- Answers the new entry's id, with a quota {id, 0, events left at once, microseconds until all are}, or {id, 1} when
-- a marker tells that the event was appended before. A marker holds the entry's id and the fingerprint, and is never
-- set unless the entry is there. The quota is counted by GCRA: its state is the time at which the events let through
-- so far would be due at an even pace; only what is appended counts. Times are microseconds since 2023, so that a number
-- has room for hundredths of them.
--
-- An event with neither has no argument for them: each costs the server 0.3 us.

local stream = KEYS[1]
local last_marker = #KEYS
local per_second, burst
if last_marker > 1 then
  per_second, burst = string.match(ARGV[#KEYS], '^GCRA (%d+) (%d+)$')
  last_marker = per_second and last_marker - 1 or last_marker
end

local known
for i = 2, last_marker do
  local marker = redis.call('GET', KEYS[i])
  if marker then
    local id, fingerprint = string.match(marker, '^(%S+) (%S*)$')
    if fingerprint ~= string.match(ARGV[i], ' (%S*)$') then
      return redis.error_reply('KEYREUSED the idempotency key came with another body')
    end
    known = known or id
  end
end

local function mark(i, id)
  local life, fingerprint = string.match(ARGV[i], '^(%d+) (%S*)$')
  redis.call('SET', KEYS[i], id .. ' ' .. fingerprint, 'EX', life)
end

if known then
  for i = 2, last_marker do
    -- Writing again what stands there makes WAIT and WAITAOF of this connection cover the first write, which
    -- another connection may have made; a marker that is missing is added.
    if redis.call('EXISTS', KEYS[i]) == 1 then
      redis.call('SET', KEYS[i], redis.call('GET', KEYS[i]), 'KEEPTTL')
    else
      mark(i, known)
    end
  end
  return {known, 1}
end

if redis.call('XLEN', stream) >= tonumber(ARGV[1]) then
  return redis.error_reply('STREAMFULL the stream has its most entries')
end

local due, ahead, left
if per_second then
  local interval = 1000000 / per_second
  local time = redis.call('TIME')
  local now = (time[1] - 1672531200) * 1000000 + time[2]
  due = math.max(tonumber(redis.call('GET', KEYS[#KEYS]) or now), now) + interval
  ahead = due - now
  -- Whole events, and a hundredth of one for what is lost in rounding.
  left = math.floor(burst - ahead / interval + 0.01)
  if left < 0 then
    return redis.error_reply(string.format('RATELIMITED %.0f %.0f', ahead - burst * interval, ahead - interval))
  end
end

local id = redis.call('XADD', stream, '*', unpack(ARGV, #KEYS + 1))
for i = 2, last_marker do
  mark(i, id)
end
if due then
  redis.call('SET', KEYS[#KEYS], string.format('%.2f', due), 'PX', math.ceil(ahead / 1000))
  return {id, 0, left, ahead}
end
return id
