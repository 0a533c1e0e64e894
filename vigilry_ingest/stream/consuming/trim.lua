-- Trim a stream of what every group has acknowledged, and of nothing else.
--
-- KEYS  the stream
-- ARGV  the default group
--
-- Answers how many entries went. It is one step, so that no group can be made, and no entry delivered, between
-- the look at the groups and the trimming. Without the default group nothing goes: a broker that lost its data
-- has lost the groups too, and the first that is made again must not trim what the others have not seen.

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

local lowest
local has_default = false
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local is = {}
  for i = 1, #group, 2 do
    is[group[i]] = group[i + 1]
  end
  has_default = has_default or is['name'] == ARGV[1]
  local needed
  if is['pending'] > 0 then
    needed = redis.call('XPENDING', KEYS[1], is['name'])[2]
  else
    local ms, seq = string.match(is['last-delivered-id'], '^(%d+)-(%d+)$')
    needed = ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
  end
  if not lowest or is_lower(needed, lowest) then
    lowest = needed
  end
end

return has_default and redis.call('XTRIM', KEYS[1], 'MINID', lowest) or 0
