-- Charges a cost to a limit, as the generic cell rate algorithm does (ITU-T I.371): all of a minute's requests may come at
-- once, and room comes back evenly.
--
-- KEYS: whom it counts for. ARGV: requests a minute; what is charged, in requests: below 0 it is given back.
-- Answers whether it is let in, how many requests more would be, in how many milliseconds this one is let in, and in how
-- many milliseconds there is room for all again.
local limit = tonumber(ARGV[1])
local cost = tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local step = 60000 / limit
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
if cost > 0 and full + step * cost - 60000 > now + 0.5 then
    local left = math.max(math.floor((60000 - (full - now)) / step + 0.001), 0)
    return {0, left, math.ceil(full + step * cost - 60000 - now), math.ceil(full - now)}
end
full = math.max(full + step * cost, now)
if full > now then
    redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.ceil(full - now))
else
    redis.call('DEL', KEYS[1])
end
return {1, math.floor((60000 - (full - now)) / step + 0.001), 0, math.ceil(full - now)}
