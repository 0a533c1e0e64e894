-- Append a dead letter to its stream again, for its own group only, in one atomic step.
--
-- KEYS  the stream, its dead letters, and their index
-- ARGV  the id of the dead letter, its group, the id of the original entry, and the entry's fields and values
--
-- Returns the id of the new entry, or nil when the dead letter no longer exists. The index then points to the new
-- entry, so that the original jobId still finds the event.

if redis.call('XDEL', KEYS[2], ARGV[1]) == 0 then
  return nil
end
local bytes = bytes_of(ARGV, 2, #ARGV)
local size = add_bytes(KEYS[1], bytes)
local id = redis.call('XADD', KEYS[1], '*', 'for_group', ARGV[2], 'first_entry', ARGV[3], unpack(ARGV, 4))
mark_size(KEYS[1], size, bytes, 0, id)
redis.call('HSET', KEYS[3], ARGV[2] .. ' ' .. ARGV[3], '>' .. id)
return id
