-- Adds ticks to the source series, or says why a rebuild has to do it. Checking and writing in one script leaves no
-- moment in which another collector's tick could slip between.
--
-- KEYS  the tick series, the state hash; in a cluster also its compactions, whose rules a slot that moves loses
-- ARGV  now in ms ('' for the server's TIME), slack ahead of now, the length of the kept closed hours, the hour,
--       1 when the rules look back, else 0, how long the lease of a rebuild may hold ('' to go ahead beside it),
--       the ticks (stamp, price, ...), those of the candles among them, and the candles (minute, low, high, ...),
--       both ascending and packed as little-endian doubles, the bounds (minute, low, high, ...) packed likewise,
--       then the fields (name, value, ...) of the state hash to set with them
-- Reply now and the status: 'written', 'merge', 'missing', 'poisoned', 'early', or 'busy' with the lease and the server's
-- TIME
local tick, state = KEYS[1], KEYS[2]
local slack, kept, hour = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local MINUTE, LOW, HIGH, SETTLED = 60000, 20000, 40000, 59999
local BOUND_LOW, BOUND_HIGH = 1, 2
local SLICE = 2400 -- arguments of one TS.MADD; Lua unpacks fewer than 8000
-- The work of an append, in ticks that are looked through, is some 25 ms at most; a rebuild is faster than more of it.
local MOST_WORK, WORK_PER_TICK, BYTES_PER_TICK = 400000, 40, 16

local function doubles(text)
  local list = {}
  for at = 1, #text, 8 do
    list[#list + 1] = struct.unpack('<d', text, at)
  end
  return list
end

local function range(from, to, ...) return redis.call('TS.RANGE', tick, from, to, ...) end

-- NaN, which Redis takes since 8.6, is no price.
local function price_of(sample)
  local price = sample and tonumber(sample[2].ok)
  return price == price and price or nil
end

local function price_at(stamp) return price_of(range(stamp, stamp)[1]) end

local function minute_of(stamp) return stamp - stamp % MINUTE end

local function of_candle(offset) return offset == 0 or offset == LOW or offset == HIGH or offset == SETTLED end

local function clamped(price, low, high) return math.min(math.max(price, low), high) end

local time = redis.call('TIME')
local server = time[1] * 1000 + math.floor(time[2] / 1000)
local now = tonumber(ARGV[1]) or server
local function known(field) return redis.call('HGET', state, field) or nil end

local lease, longest = known('rebuild_until_ms'), tonumber(ARGV[6])
if lease and longest then
  local left = (tonumber(string.match(lease, '^%d+')) or 0) - server
  if left > 0 and left <= longest then return {now, 'busy', lease, server} end
end
if redis.call('EXISTS', tick) == 0 then return {now, 'missing'} end
local newest = redis.call('TS.GET', tick)[1] or 0
if newest > now + slack then return {now, 'poisoned'} end

-- The tick series of a slot that has moved holds all its ticks, but nothing would compact new ones.
if #KEYS > 2 then
  local info, ruled = redis.call('TS.INFO', tick), {}
  for i = 1, #info, 2 do
    for _, rule in ipairs((info[i].ok or info[i]) == 'rules' and info[i + 1] or {}) do ruled[rule[1].ok or rule[1]] = true end
  end
  for i = 3, #KEYS do
    if not ruled[KEYS[i]] then return {now, 'merge'} end
  end
end

if #ARGV[7] / BYTES_PER_TICK * WORK_PER_TICK > MOST_WORK then return {now, 'merge'} end
local ticks, candles = doubles(ARGV[7]), doubles(ARGV[8])
if #candles > 0 and candles[#candles - 2] + MINUTE > now then return {now, 'early'} end

local oldest = now - now % hour - kept
-- After a silence that long the rules would publish an open bucket that the clock has outdated.
if newest > 0 and newest < oldest then return {now, 'merge'} end
local first, final = 1, #ticks - 1
while first <= final and ticks[first] < oldest do first = first + 2 end
while first <= final and ticks[final] > now + slack do final = final - 2 end
local function written()
  if #ARGV > 9 then redis.call('HSET', state, unpack(ARGV, 10)) end
  return {now, 'written'}
end
if first > final then return written() end

-- Nothing may touch what was carried over without its ticks; a rebuild puts right what is no number.
local carried = tonumber(known('carried_until_ms') or 0)
if not (carried and newest >= carried and ticks[first] >= carried) then return {now, 'merge'} end

-- In other databases than 0 the rules follow ascending ticks alone.
if ARGV[5] == '0' and ticks[first] <= newest then return {now, 'merge'} end

-- For each tick behind the newest one the rules look through all ticks of its hour again.
local in_hour, work = {}, 0
local function is_too_much(stamp)
  local start = stamp - stamp % hour
  if stamp <= newest and not in_hour[start] then
    local counted = range(start, start + hour - 1, 'AGGREGATION', 'count', hour)[1]
    in_hour[start] = counted and tonumber(counted[2].ok) or 0
  end
  work = work + WORK_PER_TICK + (stamp <= newest and in_hour[start] or 0)
  return work > MOST_WORK
end
for at = first, final, 2 do
  if is_too_much(ticks[at]) then return {now, 'merge'} end
end

local write = {}
local function add(stamp, price)
  local n = #write
  write[n + 1], write[n + 2], write[n + 3] = tick, stamp, price
end

-- The stored ticks of a minute that have to move into a range, and all its prices then, by offset.
local function move(minute, low, high)
  local changes, prices = {}, {}
  for _, sample in ipairs(minute <= newest and range(minute, minute + SETTLED) or {}) do
    local stamp, price = sample[1], price_of(sample)
    local moved = clamped(price or low, low, high)
    prices[stamp - minute] = moved
    if moved ~= price then changes[#changes + 1] = {stamp, moved} end
  end
  return changes, prices
end

-- The stored live ticks of a minute that is settled now move to the nearer bound of its candle.
local settling = {}
for i = 1, #candles, 3 do
  local minute = candles[i]
  settling[minute] = true
  for _, change in ipairs(minute >= oldest and move(minute, candles[i + 1], candles[i + 2]) or {}) do
    if not of_candle(change[1] - minute) then
      if is_too_much(change[1]) then return {now, 'merge'} end
      add(unpack(change))
    end
  end
end

local function candle_of(minute)
  if price_at(minute + SETTLED) == nil then return nil end
  return {low = price_at(minute + LOW) or 0, high = price_at(minute + HIGH) or math.huge}
end

local held, bounds, bounds_from, bounded = doubles(ARGV[9]), {}, math.huge, {}
for i = #held - 2, 1, -3 do
  if held[i] >= math.max(oldest, carried) then
    bounds[held[i]], bounds_from = {low = held[i + 1], high = held[i + 2]}, held[i]
  end
end

-- Moves the ticks of a minute, stored and new (from `at` on), into its bounds, and has some tick reach each; its first
-- price goes to +0, so that no bound is taken for it. Where no live tick follows +2 a bound might be the newest tick: such a
-- minute is not bounded. What is too much work goes on in the next append; the price does not wait for it.
local function hold(minute, at)
  local bound = bounds[minute]
  if not bound then return nil end
  local changes, prices = move(minute, bound.low, bound.high)
  while at <= final and ticks[at] < minute + MINUTE do
    prices[ticks[at] - minute] = clamped(ticks[at + 1], bound.low, bound.high)
    at = at + 2
  end
  local opening, has_low, has_high = MINUTE, false, false
  for offset, price in pairs(prices) do
    if offset > BOUND_HIGH then opening = math.min(opening, offset) end
    has_low = has_low or price == bound.low and offset ~= BOUND_HIGH
    has_high = has_high or price == bound.high and offset ~= BOUND_LOW
  end
  if opening == MINUTE then return nil end
  if not prices[0] then changes[#changes + 1] = {minute, prices[opening]} end
  if not has_low then changes[#changes + 1] = {minute + BOUND_LOW, bound.low} end
  if not has_high then changes[#changes + 1] = {minute + BOUND_HIGH, bound.high} end
  for _, change in ipairs(changes) do
    if is_too_much(change[1]) then return nil end
    add(unpack(change))
  end
  bounded[minute] = true
  return bound
end

-- A minute behind the newest one must exist already. A late live tick of a minute that was settled before moves into
-- its candle's range too; one on a stamp of the candle is in it already.
local newest_minute, ranges, live = minute_of(newest), {}, false
for at = first, final, 2 do
  local stamp, price = ticks[at], ticks[at + 1]
  local minute = minute_of(stamp)
  if ranges[minute] == nil then
    if minute < newest_minute and not range(minute, minute + SETTLED, 'COUNT', 1)[1] then return {now, 'merge'} end
    local candle = minute <= newest_minute and not settling[minute] and candle_of(minute)
    ranges[minute] = candle or not settling[minute] and hold(minute, at) or false
  end
  local within, on_candle = ranges[minute], of_candle(stamp - minute)
  live = live or not (settling[minute] and on_candle)
  if not within then
    add(stamp, price)
  elseif bounded[minute] or not on_candle then
    add(stamp, clamped(price, within.low, within.high))
  end
end
for i = live and #held - 2 or 0, 1, -3 do -- the newest first
  local minute = held[i]
  if ranges[minute] == nil and not candle_of(minute) then hold(minute, final + 1) end
end

-- The first minute from which on each is settled or bounded here; candles alone change nothing in it.
local told = known('exact_since_ms')
local since, minute = not live and told or nil, minute_of(math.max(newest, ticks[final]))
while live and minute >= bounds_from and (bounded[minute] or settling[minute] or candle_of(minute)) do
  since, minute = string.format('%.0f', minute), minute - MINUTE
end
local function tell(exact_since)
  if exact_since and exact_since ~= told then redis.call('HSET', state, 'exact_since_ms', exact_since) end
  if told and not exact_since then redis.call('HDEL', state, 'exact_since_ms') end
end

for start = 1, #write, SLICE do
  for i, reply in ipairs(redis.call('TS.MADD', unpack(write, start, math.min(start + SLICE - 1, #write)))) do
    local refused = type(reply) == 'table' and reply.err
    -- An insertion filter that drops a tick answers with the newest stamp; a rebuild makes the series without it.
    if refused or reply ~= write[start + 3 * i - 2] then
      tell(nil)
      return refused and reply or {now, 'merge'}
    end
  end
end
tell(since)
return written()
