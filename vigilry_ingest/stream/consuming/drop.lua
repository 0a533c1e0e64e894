-- Delete a dead letter permanently, in one atomic step.
--
-- KEYS  the dead letters, and their index
-- ARGV  the id of the dead letter, its field in the index, and the marker for deleted dead letters
--
-- Returns 1, or 0 when the dead letter no longer exists: the index may then point to a requeued entry and stays as it
-- is. The marker keeps the job from being reported as processed.

if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
return 1
