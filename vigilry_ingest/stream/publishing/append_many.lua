-- Append events that have neither idempotency keys nor a quota, in one atomic step.
--
-- KEYS  the stream
-- ARGV  the maximum numbers of entries and of bytes in the stream, as '1000000 0' (0 bytes for any), and for each event
--       the values of all its fields in the order of `names`, which the service defines above; the byte 255, which is
--       never UTF-8, is an absent value
--
-- Returns the new entry's id for each event, and for each that does not fit into the stream 'entries' or 'bytes': which
-- maximum is reached.

local stream = KEYS[1]
local max_entries, max_bytes = string.match(ARGV[1], '^(%d+) (%d+)$')
local free = tonumber(max_entries) - redis.call('XLEN', stream)
max_bytes = tonumber(max_bytes)
local size = add_bytes(stream, 0)
local added = 0
local ids = {}

for first = 2, #ARGV, #names do
  if #ids >= free then
    ids[#ids + 1] = 'entries'
  elseif max_bytes > 0 and size and size + added >= max_bytes then
    ids[#ids + 1] = 'bytes'
  else
    local entry = {'v', version}
    local last = 2
    local bytes = #'v' + #version
    for i = 1, #names do
      local value = ARGV[first + i - 1]
      if value ~= '\255' then
        entry[last + 1] = names[i]
        entry[last + 2] = value
        last = last + 2
        bytes = bytes + #names[i] + #value
      end
    end
    local id = redis.call('XADD', stream, '*', unpack(entry))
    added = added + bytes
    mark_size(stream, size and size + added, bytes, max_bytes, id)
    ids[#ids + 1] = id
  end
end

if size and added > 0 then
  redis.call('INCRBY', size_key(stream), added)
end
return ids
