-- Move an entry to the dead letters and acknowledge it, in one atomic step.
--
-- KEYS  the stream, its dead letters, and their index
-- ARGV  the group, the entry's id, the id that its sender knows, the reason, how often it was delivered, the time,
--       and the entry's names and values
--
-- Answers 1, or 0 when the entry was acknowledged before and there is nothing to bury.

if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then
  return 0
end
local id = redis.call('XADD', KEYS[2], '*', 'dead_group', ARGV[1], 'dead_entry', ARGV[3], 'dead_reason', ARGV[4],
  'dead_deliveries', ARGV[5], 'dead_at', ARGV[6], unpack(ARGV, 7))
redis.call('HSET', KEYS[3], ARGV[1] .. ' ' .. ARGV[3], id)
return 1
