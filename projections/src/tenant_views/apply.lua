-- Moves one stream from one version to the next, together with its places in lists: all of it, or nothing if it stands at
-- another version.
--
-- KEYS: the generation's marker, the stream, lists that it leaves, lists that it enters.
-- ARGV: the version that the step builds on, the new one, the new state, the member's name in lists, how many are left.
-- Answers 1 when it moved, 0 when somebody else was faster.
if redis.call('EXISTS', KEYS[1]) == 0 then
    return redis.error_reply('NOGENERATION ' .. KEYS[1] .. ' is missing')
end
if (redis.call('HGET', KEYS[2], 'version') or '0') ~= ARGV[1] then
    return 0
end
-- Lists of a wrong type are met before anything is written.
for i = 3, #KEYS do
    local kind = redis.call('TYPE', KEYS[i]).ok
    if kind ~= 'zset' and kind ~= 'none' then
        return redis.error_reply('SHAREDKEY ' .. KEYS[i] .. ' is no list')
    end
end
for i = 3, 2 + tonumber(ARGV[5]) do
    redis.call('ZREM', KEYS[i], ARGV[4])
end
for i = 3 + tonumber(ARGV[5]), #KEYS do
    redis.call('ZADD', KEYS[i], 0, ARGV[4])
end
redis.call('HSET', KEYS[2], 'version', ARGV[2], 'state', ARGV[3])
return 1
