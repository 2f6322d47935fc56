-- Tells the time and the newest tick, and names the minutes without their whole candle: to ask for the four stamps of
-- 1 440 minutes from outside takes 120 KB.
-- KEYS  the tick series
-- ARGV  the first and the last minute, in ms
-- Reply the server's TIME, the newest tick (stamp, price as text) if there is one, and the minutes
local tick, first, last = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local MINUTE, OFFSETS = 60000, {0, 20000, 40000, 59999}
local AT_ONCE = 32 -- minutes in one query: 128 stamps, as many as it takes

local function count(from, to, bucket)
  local query = {'TS.RANGE', tick, from, to + MINUTE - 1, 'FILTER_BY_TS'}
  for minute = from, to, MINUTE do
    for _, offset in ipairs(OFFSETS) do query[#query + 1] = minute + offset end
  end
  for _, word in ipairs({'AGGREGATION', 'count', bucket}) do query[#query + 1] = word end
  return redis.call(unpack(query))
end

local newest = redis.pcall('TS.GET', tick)
local unsettled, exists = {}, not newest.err
for from = first, last, AT_ONCE * MINUTE do
  local to = math.min(from + (AT_ONCE - 1) * MINUTE, last)
  local all = exists and count(from, to, 2 * last + MINUTE)[1]
  if not all or tonumber(all[2].ok) ~= #OFFSETS * ((to - from) / MINUTE + 1) then
    local whole = {}
    for _, minute in ipairs(exists and count(from, to, MINUTE) or {}) do
      whole[minute[1]] = tonumber(minute[2].ok) == #OFFSETS
    end
    for minute = from, to, MINUTE do
      if not whole[minute] then unsettled[#unsettled + 1] = minute end
    end
  end
end
return {redis.call('TIME'), newest[1] and {newest[1], newest[2].ok} or {}, unsettled}
