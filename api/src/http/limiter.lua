-- Charges a cost to a limit by the generic cell rate algorithm (ITU-T I.371): a minute's requests may arrive at once,
-- and capacity returns evenly.
--
-- KEYS: the counter. ARGV: requests per minute; cost in requests, negative for a refund.
-- Returns whether it is allowed, how many more requests would be allowed, in how many milliseconds this one is
-- allowed, and in how many milliseconds the whole limit is available again.
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
