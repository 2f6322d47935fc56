-- Adds ticks to the source series, or says why a rebuild has to do it. Checking and writing in one script leaves no
-- moment in which another collector's tick could slip between.
--
-- KEYS  the tick series, the state hash
-- ARGV  now in ms ('' for the server's TIME), slack ahead of now, the length of the kept closed hours, the hour,
--       the number of candles, then minute, low and high of each,
--       then key, stamp and price of each tick, ascending, those of the candles among them
-- Reply now, status ('written', 'merge', 'missing', 'poisoned', 'early'), ticks too old, ticks too far ahead, newest
local tick, state = KEYS[1], KEYS[2]
local slack, kept, hour, candles = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local MINUTE, LOW, HIGH, SETTLED = 60000, 20000, 40000, 59999
local SLICE = 2400 -- arguments of one TS.MADD; Lua unpacks fewer than 8000

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local oldest = now - now % hour - kept

local newest = -1
if redis.call('EXISTS', tick) == 0 then return {now, 'missing', 0, 0, newest} end
local last = redis.call('TS.GET', tick)
if last[1] then newest = last[1] end
if newest > now + slack then return {now, 'poisoned', 0, 0, newest} end

local function text(stamp) return string.format('%.0f', stamp) end
local function range(from, to, ...) return redis.call('TS.RANGE', tick, text(from), text(to), ...) end
local function is_candle_stamp(offset)
  return offset == 0 or offset == LOW or offset == HIGH or offset == SETTLED
end

local first = 6 + 3 * candles
local final = #ARGV
local too_old, too_early = 0, 0
while first <= final and tonumber(ARGV[first + 1]) < oldest do
  first, too_old = first + 3, too_old + 1
end
while final > first and tonumber(ARGV[final - 1]) > now + slack do
  final, too_early = final - 3, too_early + 1
end
if candles > 0 and tonumber(ARGV[3 + 3 * candles]) + MINUTE > now then
  return {now, 'early', 0, 0, newest}
end

-- A minute behind the newest one must exist already, and nothing may touch what was carried over without its ticks.
local carried = tonumber(redis.call('HGET', state, 'carried_until_ms') or 0)
local newest_minute = newest - newest % MINUTE
if first < final and carried > 0 and (newest < carried or tonumber(ARGV[first + 1]) < carried) then
  return {now, 'merge', 0, 0, newest}
end
local behind, seen = first, nil
while behind < final and tonumber(ARGV[behind + 1]) < newest_minute do
  local stamp = tonumber(ARGV[behind + 1])
  local minute = stamp - stamp % MINUTE
  if minute ~= seen and #range(minute, minute + SETTLED, 'COUNT', 1) == 0 then
    return {now, 'merge', 0, 0, newest}
  end
  behind, seen = behind + 3, minute
end

local write = {}
local function add(stamp, price)
  local n = #write
  write[n + 1], write[n + 2], write[n + 3] = tick, stamp, price
end

-- The stored live ticks of a minute that is settled now move to the nearer bound of its candle.
local settling = {}
for i = 6, 5 + 3 * candles, 3 do
  local minute, low, high = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]
  settling[minute] = true
  if minute >= oldest and minute <= newest then
    for _, sample in ipairs(range(minute, minute + SETTLED)) do
      local price = tonumber(sample[2].ok)
      if not is_candle_stamp(sample[1] - minute) then
        if price < tonumber(low) then add(text(sample[1]), low) end
        if price > tonumber(high) then add(text(sample[1]), high) end
      end
    end
  end
end

-- A late live tick of a minute that was settled before moves likewise; one on a stamp of the candle is in it already.
local function one(stamp)
  local found = range(stamp, stamp)
  return found[1] and found[1][2].ok
end
local settled = {}
while first < final and tonumber(ARGV[first + 1]) < newest_minute + MINUTE do
  local stamp, price = tonumber(ARGV[first + 1]), ARGV[first + 2]
  local minute = stamp - stamp % MINUTE
  if settled[minute] == nil then
    settled[minute] = not settling[minute] and one(minute + SETTLED) ~= nil and true or false
  end
  if not settled[minute] then
    add(ARGV[first + 1], price)
  elseif not is_candle_stamp(stamp - minute) then
    local low, high = one(minute + LOW), one(minute + HIGH)
    if low and tonumber(price) < tonumber(low) then price = low end
    if high and tonumber(price) > tonumber(high) then price = high end
    add(ARGV[first + 1], price)
  end
  first = first + 3
end

local function madd(list, from, to)
  for start = from, to, SLICE do
    for _, reply in ipairs(redis.call('TS.MADD', unpack(list, start, math.min(start + SLICE - 1, to)))) do
      if type(reply) == 'table' and reply.err then error(reply.err) end
    end
  end
end
madd(write, 1, #write)
madd(ARGV, first, final)
return {now, 'written', too_old, too_early, newest}
