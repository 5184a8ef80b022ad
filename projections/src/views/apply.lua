-- Moves streams from one version to the next, with the figures that their events add to. Each stream moves wholly or not
-- at all, and figures move with it; a stream whose version is another than the step builds on stays as it is.
--
-- KEYS: the generation's marker, the streams, the keys of figures ("targets").
-- ARGV: how many streams; how many targets; for each target its kind ('c' counters, 'e' engagement, 'z' sorted set) and
-- when it expires (Unix seconds, 0 never); for each stream the version the step builds on, the new version, the new state,
-- for how many seconds it is kept (0 for ever), how many figures it adds to, and for each of them target, field, number.
-- Answers for each stream: 1 moved, 0 somebody else was faster, text: what is wrong with its key.
if redis.call('EXISTS', KEYS[1]) == 0 then
    return redis.error_reply('NOGENERATION ' .. KEYS[1] .. ' is missing')
end
local streams, targets = tonumber(ARGV[1]), tonumber(ARGV[2])
local at = 3 + 2 * targets
local answers, starts, sums = {}, {}, {}
for i = 1, streams do
    local figures = tonumber(ARGV[at + 4])
    local version = redis.pcall('HGET', KEYS[1 + i], 'version')
    if type(version) == 'table' then
        answers[i] = version.err
    elseif (version or '0') ~= ARGV[at] then
        answers[i] = 0
    else
        answers[i] = 1
        starts[i] = at
        for j = at + 5, at + 4 + 3 * figures, 3 do
            local target, field = tonumber(ARGV[j]), ARGV[j + 1]
            local fields = sums[target] or {}
            sums[target] = fields
            fields[field] = (fields[field] or 0) + tonumber(ARGV[j + 2])
        end
    end
    at = at + 5 + 3 * figures
end

local function add(target, field, number)
    local key = KEYS[1 + streams + target]
    number = string.format('%.0f', number)
    if ARGV[1 + 2 * target] == 'z' then
        return redis.pcall('ZINCRBY', key, number, field)
    end
    return redis.pcall('HINCRBY', key, field, number)
end

-- Figures first: they are all that can still be refused, and then everything is as it was.
local added = {}
for target, fields in pairs(sums) do
    for field, number in pairs(fields) do
        if number ~= 0 then
            local sum = add(target, field, number)
            if type(sum) == 'table' then
                for _, done in ipairs(added) do
                    add(done[1], done[2], -done[3])
                end
                if string.find(sum.err, 'WRONGTYPE', 1, true) or string.find(sum.err, 'not an integer', 1, true) then
                    local code = ARGV[1 + 2 * target] == 'e' and 'ONEKEY ' or 'SHAREDKEY '
                    return redis.error_reply(code .. KEYS[1 + streams + target] .. ': ' .. sum.err)
                end
                return sum
            end
            added[#added + 1] = {target, field, number, tonumber(sum)}
        end
    end
end
for _, done in ipairs(added) do
    if done[4] == 0 then
        local remove = ARGV[1 + 2 * done[1]] == 'z' and 'ZREM' or 'HDEL'
        redis.call(remove, KEYS[1 + streams + done[1]], done[2])
    end
end
for target = 1, targets do
    if sums[target] and ARGV[2 + 2 * target] ~= '0' then
        redis.call('EXPIREAT', KEYS[1 + streams + target], ARGV[2 + 2 * target])
    end
end

for i, start in pairs(starts) do
    redis.call('HSET', KEYS[1 + i], 'version', ARGV[start + 1], 'state', ARGV[start + 2])
    if ARGV[start + 3] ~= '0' then
        redis.call('EXPIRE', KEYS[1 + i], ARGV[start + 3])
    end
end
return answers
