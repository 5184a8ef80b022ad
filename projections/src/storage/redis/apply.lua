-- Writes new versions of states together with the figures and lists that their events change: all of them, or none if
-- the stored version of a state is not the one that its transition builds on, or a key has the wrong type. All keys
-- have the same hash tag.
--
-- KEYS: the tag's marker, the states, the keys of figures and lists ("targets").
-- ARGV: number of states; number of targets; for each state the version that the transition builds on, the new version,
-- the new state, its time to live in seconds (0 for ever); for each target its kind (shared_counts, own_counts,
-- ranking, members), when it expires (Unix seconds, 0 never), the number of its fields, and each field with the number
-- to add (for a member, 1 adds it and -1 removes it).
-- Returns whether all states were written (1) or none (0), then for each state: 1 if it can be written, 0 if its stored
-- version is another one, a text if its key is damaged.
if redis.call('EXISTS', KEYS[1]) == 0 then
    return redis.error_reply('NOGENERATION ' .. KEYS[1] .. ' is missing')
end
local states, targets = tonumber(ARGV[1]), tonumber(ARGV[2])
local answers = {1}
for i = 1, states do
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
    if kind == 'ranking' then
        return redis.pcall('ZINCRBY', key, number, field)
    elseif kind == 'members' and number == '1' then
        return redis.pcall('ZADD', key, 0, field)
    elseif kind == 'members' then
        return redis.pcall('ZREM', key, field)
    end
    return redis.pcall('HINCRBY', key, field, number)
end
local function negated(number)
    return string.sub(number, 1, 1) == '-' and string.sub(number, 2) or '-' .. number
end

-- Figures are written first: only their commands can still fail, and then those that succeeded are undone.
local added, zeros = {}, {}
local offset = 3 + 4 * states
for target = 1, targets do
    local key, kind, fields = KEYS[1 + states + target], ARGV[offset], tonumber(ARGV[offset + 2])
    for j = offset + 3, offset + 1 + 2 * fields, 2 do
        local sum = add(kind, key, ARGV[j], ARGV[j + 1])
        if type(sum) == 'table' then
            for _, entry in ipairs(added) do
                add(entry[1], entry[2], entry[3], negated(entry[4]))
            end
            if string.find(sum.err, 'WRONGTYPE', 1, true) or string.find(sum.err, 'not an integer', 1, true) then
                local code = (kind == 'own_counts' or kind == 'members') and 'ONEKEY ' or 'SHAREDKEY '
                return redis.error_reply(code .. key .. ': ' .. sum.err)
            end
            return sum
        end
        -- Adding a present member or removing an absent one changed nothing, so there is nothing to undo.
        if kind ~= 'members' or sum == 1 then
            added[#added + 1] = {kind, key, ARGV[j], ARGV[j + 1]}
        end
        if kind ~= 'members' and tonumber(sum) == 0 then
            zeros[#zeros + 1] = {kind == 'ranking' and 'ZREM' or 'HDEL', key, ARGV[j]}
        end
    end
    offset = offset + 3 + 2 * fields
end
for _, zero in ipairs(zeros) do
    redis.call(zero[1], zero[2], zero[3])
end
offset = 3 + 4 * states
for target = 1, targets do
    if ARGV[offset + 1] ~= '0' then
        redis.call('EXPIREAT', KEYS[1 + states + target], ARGV[offset + 1])
    end
    offset = offset + 3 + 2 * tonumber(ARGV[offset + 2])
end

for i = 1, states do
    local key, start = KEYS[1 + i], 4 * i - 1
    redis.call('HSET', key, 'version', ARGV[start + 1], 'state', ARGV[start + 2])
    if ARGV[start + 3] ~= '0' then
        redis.call('EXPIRE', key, ARGV[start + 3])
    end
end
return answers
