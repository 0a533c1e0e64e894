-- Append one event, in one atomic step with what its idempotency keys and its project's quota ask for.
--
-- KEYS  the stream, a marker for each idempotency key, and, where there is a quota, its state
-- ARGV  for each key in its place: the most entries that the stream may have, and the most bytes, as '1000000 0' (0 bytes
--       for any); a marker's life in seconds and its fingerprint, as '86400 fingerprint' (empty where the key alone
--       decides); the quota's events a second, its burst, and its bytes a second, as 'GCRA 100 50 0' (0 for none). Then the
--       entry's names and values
--
-- Answers the new entry's id, or, with a quota, {id, 0, events left at once, microseconds until all are}; and {id, 1}
-- or {id, 1, left, microseconds} when a marker shows that the event was appended before. A marker holds the entry's id
-- and the fingerprint, and is never set unless the entry is there. The quota is counted by GCRA: its state is the time
-- at which the events let through so far would be due at an even pace; only what is appended counts. Times are
-- microseconds since 2023, so that a double still resolves fiftieths of one. Bytes are counted by a leaky bucket, of
-- which the state has the level and the time: an event is let through while the level is at most what flows off in a
-- second, so one of any size is let through at last, and the next one has to wait.
--
-- An event with neither has no argument for them, because each costs the server time.

local stream = KEYS[1]
local last_marker = #KEYS
local per_second, burst, bytes_per_second
if last_marker > 1 then
  per_second, burst, bytes_per_second = string.match(ARGV[#KEYS], '^GCRA (%d+) (%d+) (%d+)$')
  last_marker = per_second and last_marker - 1 or last_marker
end

local has_quota = per_second ~= nil
local interval, now, due, left, level

local function set_quota()
  local life = math.max((due - now) / 1000, bytes_per_second > 0 and level * 1000 / bytes_per_second or 0)
  redis.call('SET', KEYS[#KEYS], string.format('%.2f %.0f %.0f', due, level, now), 'PX', math.ceil(life) + 1)
end

if has_quota then
  per_second, bytes_per_second = tonumber(per_second), tonumber(bytes_per_second)
  local time = redis.call('TIME')
  now = (time[1] - 1672531200) * 1000000 + time[2]
  local state = redis.call('GET', KEYS[#KEYS]) or ''
  local due_before, level_before, counted_at = string.match(state, '^(%S+) ?(%S*) ?(%S*)$')
  due = math.max(tonumber(due_before) or now, now)
  local elapsed = math.max(now - (tonumber(counted_at) or now), 0)
  level = math.max((tonumber(level_before) or 0) - elapsed * bytes_per_second / 1000000, 0)
  if per_second > 0 then
    interval = 1000000 / per_second
    if due > now + burst * interval then
      -- Later than this quota can make it: there was another before, or the clock was set back. It counts as used up.
      due = now + burst * interval
      set_quota()
    end
    -- Whole events, and a hundredth of one for what is lost in rounding.
    left = math.floor(burst - (due - now) / interval + 0.01)
  end
end

local function answer(id, is_replay)
  if left then
    return {id, is_replay, left, due - now}
  end
  return is_replay == 1 and {id, 1} or id
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
  return answer(known, 1)
end

local max_entries, max_bytes = string.match(ARGV[1], '^(%d+) (%d+)$')
max_bytes = tonumber(max_bytes)
if redis.call('XLEN', stream) >= tonumber(max_entries) then
  return redis.error_reply('STREAMFULL entries')
end

if has_quota then
  if bytes_per_second > 0 and level > bytes_per_second then
    return redis.error_reply(
      string.format('RATELIMITED %.0f bytes', (level - bytes_per_second) * 1000000 / bytes_per_second))
  end
  if per_second > 0 then
    due = due + interval
    left = left - 1
    if left < 0 then
      return redis.error_reply(string.format('RATELIMITED %.0f events', due - now - burst * interval))
    end
  end
end

local bytes = bytes_of(ARGV, #KEYS + 1, #ARGV)
local size = add_bytes(stream, bytes)
if max_bytes > 0 and size and size - bytes >= max_bytes then
  redis.call('DECRBY', size_key(stream), bytes)
  return redis.error_reply('STREAMFULL bytes')
end
local id = redis.call('XADD', stream, '*', unpack(ARGV, #KEYS + 1))
mark_size(stream, size, bytes, max_bytes, id)
for i = 2, last_marker do
  mark(i, id)
end
if has_quota then
  level = level + bytes
  set_quota()
end
return answer(id, 0)
