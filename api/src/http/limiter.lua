-- Counts one request against a limit, as the generic cell rate algorithm does (ITU-T I.371): all of a minute's requests
-- may come at once, and room comes back evenly.
--
-- KEYS: whom it counts for. ARGV: requests a minute.
-- Answers whether it is let in, how many more would be, in how many milliseconds the next one is let in, and in how many
-- milliseconds there is room for all again.
local limit = tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local step = 60000 / limit
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
if full + step - 60000 > now + 0.5 then
    return {0, 0, math.ceil(full + step - 60000 - now), math.ceil(full - now)}
end
full = full + step
redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.ceil(full - now))
return {1, math.floor((60000 - (full - now)) / step + 0.001), 0, math.ceil(full - now)}
