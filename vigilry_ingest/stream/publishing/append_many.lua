-- Append events that have neither idempotency keys nor a quota, in one atomic step.
--
-- KEYS  the stream
-- ARGV  the maximum number of entries in the stream, and for each event the values of all its fields in the order of
--       `names`, which the service defines above; the byte 255, which is never UTF-8, is an absent value
--
-- Returns the new entry's id for each event, and false for each that does not fit into the stream.

local stream = KEYS[1]
local room = tonumber(ARGV[1]) - redis.call('XLEN', stream)
local ids = {}

for first = 2, #ARGV, #names do
  if #ids < room then
    local entry = {'v', version}
    local last = 2
    for i = 1, #names do
      local value = ARGV[first + i - 1]
      if value ~= '\255' then
        entry[last + 1] = names[i]
        entry[last + 2] = value
        last = last + 2
      end
    end
    ids[#ids + 1] = redis.call('XADD', stream, '*', unpack(entry))
  else
    ids[#ids + 1] = false
  end
end

return ids
