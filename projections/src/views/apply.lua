-- Moves one view from one version to the next, with the counters, or does nothing.
-- KEYS: view, counters. ARGV: version it builds on, new version, new state, then pairs of counter and delta.
local version = redis.call('HGET', KEYS[1], 'version') or '0'
if version ~= ARGV[1] then
    return 0
end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'state', ARGV[3])
for i = 4, #ARGV, 2 do
    if redis.call('HINCRBY', KEYS[2], ARGV[i], ARGV[i + 1]) == 0 then
        redis.call('HDEL', KEYS[2], ARGV[i])
    end
end
return 1
