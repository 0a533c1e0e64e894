-- Move an entry to the dead letters and acknowledge it, in one atomic step.
--
-- KEYS  the stream, its dead letters, and their index
-- ARGV  the group, the id of the entry, the id of the original entry, the reason, the number of deliveries, the time,
--       the class of the failure, and the entry's fields and values
--
-- Returns 1, or 0 when the entry was already acknowledged.

if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then
  return 0
end
local id = redis.call('XADD', KEYS[2], '*', 'dead_group', ARGV[1], 'dead_entry', ARGV[3], 'dead_reason', ARGV[4],
  'dead_deliveries', ARGV[5], 'dead_at', ARGV[6], 'dead_class', ARGV[7], unpack(ARGV, 8))
redis.call('HSET', KEYS[3], ARGV[1] .. ' ' .. ARGV[3], id)
return 1
