-- Remove a group's other consumers that have no pending entries, in one atomic step.
--
-- KEYS  the stream
-- ARGV  the group, and the name of the calling consumer
--
-- Removing a consumer drops its pending entries, so nothing may be delivered to it between the check and the removal.

local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers['err'] then
  -- The group is gone; the next read fails with NOGROUP.
  return 0
end
for _, consumer in ipairs(consumers) do
  local info = {}
  for i = 1, #consumer, 2 do
    info[consumer[i]] = consumer[i + 1]
  end
  if info['name'] ~= ARGV[2] and info['pending'] == 0 then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], info['name'])
  end
end
return 1
