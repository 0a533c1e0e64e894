-- The size of a stream in bytes, counted as entries are appended, because a server does not know it.
--
-- A hash beside the stream has the bytes of all entries so far (total), of those known to be trimmed (base), and the total
-- at the last mark (marked). A mark is made every few megabytes, with the id of the last entry and the total. When
-- trimming has passed a mark, its total becomes the base, so the size is exact to the distance of two marks: see trim.lua.

-- The hash is in the slot of the stream, and no key of the scripts: while a cluster moves the slot, one of the two can be
-- on another node. Then nothing is counted, as for a stream whose first entries were not.

local MARK_BYTES = 4194304

local function size_of(stream)
  local key = string.gsub(stream, 'events$', 'size')
  local known = redis.pcall('HMGET', key, 'total', 'base', 'marked')
  if known.err or (not known[1] and redis.call('XLEN', stream) > 0) then
    return nil
  end
  return {
    key = key,
    total = tonumber(known[1] or 0),
    base = tonumber(known[2] or 0),
    marked = tonumber(known[3] or 0),
  }
end

local function is_full(size, max_bytes)
  return size and max_bytes > 0 and size.total - size.base >= max_bytes
end

local function count_entry(size, id, bytes, max_bytes)
  if not size then
    return
  end
  size.total = redis.call('HINCRBY', size.key, 'total', bytes)
  local step = max_bytes > 0 and math.min(MARK_BYTES, max_bytes / 64) or MARK_BYTES
  if size.total - size.marked >= step then
    size.marked = size.total
    redis.call('RPUSH', size.key .. ':marks', string.format('%s %.0f', id, size.total))
    redis.call('HSET', size.key, 'marked', size.total)
  end
end

local function bytes_of(arguments, first, last)
  local bytes = 0
  for i = first, last do
    bytes = bytes + #arguments[i]
  end
  return bytes
end

