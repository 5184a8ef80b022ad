-- Moves streams from one version to the next, with the figures that their events add to: all of them, or none if a stream
-- is at another version than its step builds on, or a key is none of ours.
--
-- KEYS: the generation's marker, the streams, the keys of figures ("targets").
-- ARGV: how many streams; how many targets; for each stream the version the step builds on, the new version, the new
-- state, for how many seconds it is kept (0 for ever); for each target its kind ('c' counters, 'e' engagement, 'z' sorted
-- set), when it expires (Unix seconds, 0 never), how many of its figures move, and for each of them field and number.
-- Answers first whether all moved (1) or none (0), then for each stream: 1 it can move, 0 somebody else was faster, text:
-- what is wrong with its key.
if redis.call('EXISTS', KEYS[1]) == 0 then
    return redis.error_reply('NOGENERATION ' .. KEYS[1] .. ' is missing')
end
local streams, targets = tonumber(ARGV[1]), tonumber(ARGV[2])
local answers = {1}
for i = 1, streams do
    local version = redis.pcall('HGET', KEYS[1 + i], 'version')
    if type(version) == 'table' then
        answers[1], answers[1 + i] = 0, version.err
    elseif (version or '0') ~= ARGV[4 * i - 1] then
        answers[1], answers[1 + i] = 0, 0
    else
        answers[1 + i] = 1
    end
end
if answers[1] == 0 then
    return answers
end

local function add(kind, key, field, number)
    if kind == 'z' then
        return redis.pcall('ZINCRBY', key, number, field)
    end
    return redis.pcall('HINCRBY', key, field, number)
end
local function negated(number)
    return string.sub(number, 1, 1) == '-' and string.sub(number, 2) or '-' .. number
end

-- Figures first: they are all that can still be refused, and then everything is as it was.
local added, nothing = {}, {}
local at = 3 + 4 * streams
for target = 1, targets do
    local key, kind, fields = KEYS[1 + streams + target], ARGV[at], tonumber(ARGV[at + 2])
    for j = at + 3, at + 1 + 2 * fields, 2 do
        local sum = add(kind, key, ARGV[j], ARGV[j + 1])
        if type(sum) == 'table' then
            for _, done in ipairs(added) do
                add(done[1], done[2], done[3], negated(done[4]))
            end
            if string.find(sum.err, 'WRONGTYPE', 1, true) or string.find(sum.err, 'not an integer', 1, true) then
                return redis.error_reply((kind == 'e' and 'ONEKEY ' or 'SHAREDKEY ') .. key .. ': ' .. sum.err)
            end
            return sum
        end
        added[#added + 1] = {kind, key, ARGV[j], ARGV[j + 1]}
        if tonumber(sum) == 0 then
            nothing[#nothing + 1] = {kind == 'z' and 'ZREM' or 'HDEL', key, ARGV[j]}
        end
    end
    at = at + 3 + 2 * fields
end
for _, gone in ipairs(nothing) do
    redis.call(gone[1], gone[2], gone[3])
end
at = 3 + 4 * streams
for target = 1, targets do
    if ARGV[at + 1] ~= '0' then
        redis.call('EXPIREAT', KEYS[1 + streams + target], ARGV[at + 1])
    end
    at = at + 3 + 2 * tonumber(ARGV[at + 2])
end

for i = 1, streams do
    local key, start = KEYS[1 + i], 4 * i - 1
    redis.call('HSET', key, 'version', ARGV[start + 1], 'state', ARGV[start + 2])
    if ARGV[start + 3] ~= '0' then
        redis.call('EXPIRE', key, ARGV[start + 3])
    end
end
return answers
