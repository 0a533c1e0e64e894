-- Append one event, in one atomic step with what its idempotency keys and its project's quota ask for.
--
-- KEYS  the stream, then, where there is a quota, its state, then a marker for each idempotency key
-- ARGV  the most entries that the stream may have, a marker's life in seconds, the quota's microseconds for an
--       event (0: no quota), its burst, a fingerprint for each marker (empty where the key alone decides), and the
--       entry's names and values
--
-- Answers the new entry's id, with a quota {id, 0, events left at once, microseconds until all are}, or {id, 1} when
-- a marker tells that the event was appended before. A marker holds the entry's id and the fingerprint, and is never
-- set unless the entry is there. The quota is counted by GCRA: its state is the time, in microseconds, at which the
-- events let through so far would be due at an even pace; only what is appended counts.

local stream = KEYS[1]
local interval = tonumber(ARGV[3])
local first = interval > 0 and 3 or 2
-- From a marker's place among KEYS to its fingerprint's in ARGV.
local shift = 5 - first
local fields = #KEYS + shift + 1

local known
for i = first, #KEYS do
  local marker = redis.call('GET', KEYS[i])
  if marker then
    local id, fingerprint = string.match(marker, '^(%S+) (%S*)$')
    if fingerprint ~= ARGV[i + shift] then
      return redis.error_reply('KEYREUSED the idempotency key came with another body')
    end
    known = known or id
  end
end

if known then
  for i = first, #KEYS do
    -- Writing again what stands there makes WAIT and WAITAOF of this connection cover the first write, which
    -- another connection may have made; a marker that is missing is added.
    if redis.call('EXISTS', KEYS[i]) == 1 then
      redis.call('SET', KEYS[i], redis.call('GET', KEYS[i]), 'KEEPTTL')
    else
      redis.call('SET', KEYS[i], known .. ' ' .. ARGV[i + shift], 'EX', ARGV[2])
    end
  end
  return {known, 1}
end

if redis.call('XLEN', stream) >= tonumber(ARGV[1]) then
  return redis.error_reply('STREAMFULL the stream has its most entries')
end

local due, ahead, burst
if interval > 0 then
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  burst = ARGV[4] * interval
  due = math.max(tonumber(redis.call('GET', KEYS[2]) or now), now) + interval
  ahead = due - now
  if ahead > burst then
    return redis.error_reply(string.format('RATELIMITED %.0f %.0f', ahead - burst, ahead - interval))
  end
end

local id = redis.call('XADD', stream, '*', unpack(ARGV, fields))
for i = first, #KEYS do
  redis.call('SET', KEYS[i], id .. ' ' .. ARGV[i + shift], 'EX', ARGV[2])
end
if due then
  redis.call('SET', KEYS[2], string.format('%.0f', due), 'PX', math.ceil(ahead / 1000))
  return {id, 0, math.floor((burst - ahead) / interval), ahead}
end
return id
