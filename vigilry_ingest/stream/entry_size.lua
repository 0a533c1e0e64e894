-- The size of a stream in bytes, counted as entries are appended, because a server does not know it.
--
-- A counter beside the stream has the bytes of its entries. Every few megabytes a mark is added to a list: the id of the
-- last entry, and the bytes of all entries up to it, trimmed ones included. When trimming has passed a mark, the counter
-- loses the bytes between it and the mark before, which leaves the list; so the size is exact to the distance of marks.
--
-- Counter and marks are in the slot of the stream, and no keys of the scripts: while a cluster moves the slot, one of them
-- can be on another node. Then nothing is counted, as for a stream whose first entries were not.

local MARK_BYTES = 2097152

local function size_key(stream)
  return string.sub(stream, 1, -7) .. 'size'
end

-- Count entries that are about to be appended. Returns the size with them, or nil if the stream is not counted.
local function add_bytes(stream, bytes)
  local size = redis.pcall('INCRBY', size_key(stream), bytes)
  if type(size) ~= 'number' then
    return nil
  end
  if size == bytes and redis.call('XLEN', stream) > 0 then
    redis.call('DEL', size_key(stream))
    return nil
  end
  return size
end

-- Add a mark if the bytes that ended with an entry completed the distance of two.
local function mark_size(stream, size, bytes, max_bytes, id)
  local distance = max_bytes > 0 and math.min(MARK_BYTES, max_bytes / 64) or MARK_BYTES
  if not size or math.floor(size / distance) == math.floor((size - bytes) / distance) then
    return
  end
  local marks = size_key(stream) .. ':marks'
  local trimmed = string.match(redis.call('LINDEX', marks, 0) or '', ' (%d+)$')
  if not trimmed then
    redis.call('RPUSH', marks, '0-0 0')
  end
  redis.call('RPUSH', marks, string.format('%s %.0f', id, size + (trimmed or 0)))
end

local function bytes_of(arguments, first, last)
  local bytes = 0
  for i = first, last do
    bytes = bytes + #arguments[i]
  end
  return bytes
end

