-- Trim the entries of a stream that every group has acknowledged.
--
-- KEYS  the stream; see entry_size.lua for its size
-- ARGV  the default group
--
-- Returns the number of trimmed entries. Atomic, so that no group is created and no entry delivered between the check
-- and the trim. Trims nothing while the default group does not exist: a broker that lost its data has lost the groups
-- too, and the first to be created again must not trim entries that the others have not read.

local function split(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

local function is_lower(a, b)
  local a_ms, a_seq = split(a)
  local b_ms, b_seq = split(b)
  return a_ms < b_ms or (a_ms == b_ms and a_seq < b_seq)
end

if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end

local oldest_needed
local has_default = false
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local info = {}
  for i = 1, #group, 2 do
    info[group[i]] = group[i + 1]
  end
  has_default = has_default or info['name'] == ARGV[1]
  local needed_id
  if info['pending'] > 0 then
    needed_id = redis.call('XPENDING', KEYS[1], info['name'])[2]
  else
    local ms, seq = string.match(info['last-delivered-id'], '^(%d+)-(%d+)$')
    needed_id = ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
  end
  if not oldest_needed or is_lower(needed_id, oldest_needed) then
    oldest_needed = needed_id
  end
end

if not has_default then
  return 0
end
local trimmed = redis.call('XTRIM', KEYS[1], 'MINID', oldest_needed)

-- As in entry_size.lua, the counter and its marks can be on another node.
local size = size_key(KEYS[1])
local marks = size .. ':marks'
if redis.call('XLEN', KEYS[1]) == 0 then
  redis.pcall('DEL', size, marks)
  return trimmed
end
while true do
  local passed = redis.pcall('LRANGE', marks, 0, 1)
  local id, total = string.match(passed[2] or '', '^(%S+) (%S+)$')
  if not id or not is_lower(id, oldest_needed) then
    return trimmed
  end
  redis.call('LPOP', marks)
  redis.call('DECRBY', size, total - string.match(passed[1], '(%S+)$'))
end
