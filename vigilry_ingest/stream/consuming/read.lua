-- Read new entries of a group up to a number of bytes, which the command alone cannot do.
--
-- KEYS  the stream
-- ARGV  the group, the consumer, the maximum number of entries, and the bytes after which no more are read
--
-- Returns the entries. They may have more bytes by at most STEP entries.

local STEP = 2
local max_entries = tonumber(ARGV[3])
local remaining = tonumber(ARGV[4])
local found = {}

while #found < max_entries and remaining > 0 do
  local count = math.min(STEP, max_entries - #found)
  local reply = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', count, 'STREAMS', KEYS[1], '>')
  if not reply then
    break
  end
  for _, entry in ipairs(reply[1][2]) do
    found[#found + 1] = entry
    for _, part in ipairs(entry[2]) do
      remaining = remaining - #part
    end
  end
end

return found
