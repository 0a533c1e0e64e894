-- Delete a dead letter for good, in one atomic step.
--
-- KEYS  the dead letters, and their index
-- ARGV  the dead letter's id, its name in the index, and the mark of what was deleted
--
-- Answers 1, or 0 when the letter is gone: then the index may lead to a new entry, and is left alone. The mark stays,
-- so that the letter's job is not taken for processed.

if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
return 1
