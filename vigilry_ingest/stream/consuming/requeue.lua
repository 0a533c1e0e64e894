-- Put a dead letter back on its stream, for its own group alone, in one atomic step.
--
-- KEYS  the stream, its dead letters, and their index
-- ARGV  the dead letter's id, its group, the id that its entry had, and the entry's names and values
--
-- Answers the new entry's id, or nil when the letter is gone. The index then leads to the new entry, so that the
-- first jobId goes on telling where the event stands.

if redis.call('XDEL', KEYS[2], ARGV[1]) == 0 then
  return nil
end
local id = redis.call('XADD', KEYS[1], '*', 'for_group', ARGV[2], 'first_entry', ARGV[3], unpack(ARGV, 4))
redis.call('HSET', KEYS[3], ARGV[2] .. ' ' .. ARGV[3], '>' .. id)
return id
