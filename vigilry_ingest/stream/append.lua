-- Append one event, in one atomic step with what its idempotency keys ask for.
--
-- KEYS  the stream, then a marker for each idempotency key
-- ARGV  the most entries that the stream may have, a marker's life in seconds, a fingerprint for each marker
--       (empty where the key alone decides), and the entry's names and values
--
-- Answers the new entry's id, or {id, 1} when a marker tells that the event was appended before.
-- A marker holds the entry's id and the fingerprint, and is never set unless the entry is there.

local stream = KEYS[1]
local fields = #KEYS + 2

local known
for i = 2, #KEYS do
  local marker = redis.call('GET', KEYS[i])
  if marker then
    local id, fingerprint = string.match(marker, '^(%S+) (%S*)$')
    if fingerprint ~= ARGV[i + 1] then
      return redis.error_reply('KEYREUSED the idempotency key came with another body')
    end
    known = known or id
  end
end

if known then
  for i = 2, #KEYS do
    -- Writing again what stands there makes WAIT and WAITAOF of this connection cover the first write, which
    -- another connection may have made; a marker that is missing is added.
    if redis.call('EXISTS', KEYS[i]) == 1 then
      redis.call('SET', KEYS[i], redis.call('GET', KEYS[i]), 'KEEPTTL')
    else
      redis.call('SET', KEYS[i], known .. ' ' .. ARGV[i + 1], 'EX', ARGV[2])
    end
  end
  return {known, 1}
end

if redis.call('XLEN', stream) >= tonumber(ARGV[1]) then
  return redis.error_reply('STREAMFULL the stream has its most entries')
end
local id = redis.call('XADD', stream, '*', unpack(ARGV, fields))
for i = 2, #KEYS do
  redis.call('SET', KEYS[i], id .. ' ' .. ARGV[i + 1], 'EX', ARGV[2])
end
return id
