-- Remove a group's other consumers that have nothing left, in one atomic step.
--
-- KEYS  the stream
-- ARGV  the group, and the name of the consumer that asks
--
-- It is one step, because what a consumer has is lost with it: one that wakes after the look at it could be given
-- entries before it is removed.

local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers['err'] then
  -- The group is gone, which the next read tells in words of its own.
  return 0
end
for _, consumer in ipairs(consumers) do
  local is = {}
  for i = 1, #consumer, 2 do
    is[consumer[i]] = consumer[i + 1]
  end
  if is['name'] ~= ARGV[2] and is['pending'] == 0 then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], is['name'])
  end
end
return 1
