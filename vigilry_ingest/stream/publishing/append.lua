-- Append one event, in one atomic step with what its idempotency keys and its project's quota ask for.
--
-- KEYS  the stream, a marker for each idempotency key, and, where there is a quota, its state
-- ARGV  for each key in its place: the most entries that the stream may have, and the most bytes, as '1000000 0' (0 bytes
--       for any); a marker's life in seconds and its fingerprint, as '86400 fingerprint' (empty where the key alone
--       decides); the quota's events a second and its burst, as 'GCRA 100 50'. Then the entry's names and values
--
-- Answers the new entry's id, or, with a quota, {id, 0, events left at once, microseconds until all are}; and {id, 1}
-- or {id, 1, left, microseconds} when a marker shows that the event was appended before. A marker holds the entry's id
-- and the fingerprint, and is never set unless the entry is there. The quota is counted by GCRA: its state is the time
-- at which the events let through so far would be due at an even pace; only what is appended counts. Times are
-- microseconds since 2023, so that a double still resolves fiftieths of one.
--
-- An event with neither has no argument for them, because each costs the server time.

local stream = KEYS[1]
local last_marker = #KEYS
local per_second, burst
if last_marker > 1 then
  per_second, burst = string.match(ARGV[#KEYS], '^GCRA (%d+) (%d+)$')
  last_marker = per_second and last_marker - 1 or last_marker
end

local interval, now, due, left
if per_second then
  interval = 1000000 / per_second
  local time = redis.call('TIME')
  now = (time[1] - 1672531200) * 1000000 + time[2]
  due = math.max(tonumber(redis.call('GET', KEYS[#KEYS]) or now), now)
  if due > now + burst * interval then
    -- Later than this quota can make it: there was another before, or the clock was set back. It counts as used up.
    due = now + burst * interval
    redis.call('SET', KEYS[#KEYS], string.format('%.2f', due), 'PX', math.ceil((due - now) / 1000))
  end
  -- Whole events, and a hundredth of one for what is lost in rounding.
  left = math.floor(burst - (due - now) / interval + 0.01)
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
  return per_second and {known, 1, left, due - now} or {known, 1}
end

local max_entries, max_bytes = string.match(ARGV[1], '^(%d+) (%d+)$')
max_bytes = tonumber(max_bytes)
local size = size_of(stream)
if redis.call('XLEN', stream) >= tonumber(max_entries) then
  return redis.error_reply('STREAMFULL entries')
end
if is_full(size, max_bytes) then
  return redis.error_reply('STREAMFULL bytes')
end

if per_second then
  due = due + interval
  left = left - 1
  if left < 0 then
    return redis.error_reply(string.format('RATELIMITED %.0f', due - now - burst * interval))
  end
end

local id = redis.call('XADD', stream, '*', unpack(ARGV, #KEYS + 1))
count_entry(size, id, bytes_of(ARGV, #KEYS + 1, #ARGV), max_bytes)
for i = 2, last_marker do
  mark(i, id)
end
if per_second then
  redis.call('SET', KEYS[#KEYS], string.format('%.2f', due), 'PX', math.ceil((due - now) / 1000))
  return {id, 0, left, due - now}
end
return id
