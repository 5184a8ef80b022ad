-- Writes new versions of states together with the figures and lists that their events change: all of them, or none if
-- the stored version of a state is not the one that its transition builds on, or a key has the wrong type. All keys
-- have the same hash tag.
--
-- KEYS: the tag's marker, the states, the keys of figures and lists ("targets").
-- ARGV: number of states; number of targets; for each state the version that the transition builds on, the new version,
-- the new state, its time to live in seconds (0 for ever); for each target its kind (shared_counts, own_counts,
-- ranking, members), when it expires (Unix seconds, 0 never), the number of its fields, and each field, once, with the
-- number to add (for a member, 1 adds it and -1 removes it).
-- Returns 1 if all states were written. Otherwise none was, and it returns for each state: 1 if it can be written, 0 if
-- its stored version is another one, a text if its key is damaged.
--
-- A command costs more than what it does here, so one reads or writes many keys or fields.
if redis.call('EXISTS', KEYS[1]) == 0 then
    return redis.error_reply('NOGENERATION ' .. KEYS[1] .. ' is missing')
end
local states, targets = tonumber(ARGV[1]), tonumber(ARGV[2])
-- Lua passes at most some 8,000 arguments.
local most_arguments = 4000

-- Nothing is stored of most streams that begin: then none of their keys exists.
local new_keys, new_count = {}, 0
for i = 1, states do
    if ARGV[4 * i - 1] == '0' then
        new_count = new_count + 1
        new_keys[new_count] = KEYS[1 + i]
    end
end
local are_new = new_count > 0
for first = 1, new_count, most_arguments do
    local last = math.min(first + most_arguments - 1, new_count)
    are_new = are_new and redis.call('EXISTS', unpack(new_keys, first, last)) == 0
end
local answers, are_writable = {}, true
for i = 1, states do
    local from = ARGV[4 * i - 1]
    if are_new and from == '0' then
        answers[i] = 1
    else
        local version = redis.pcall('HGET', KEYS[1 + i], 'version')
        if type(version) == 'table' then
            are_writable, answers[i] = false, version.err
        elseif (version or '0') ~= from then
            are_writable, answers[i] = false, 0
        else
            answers[i] = 1
        end
    end
end
if not are_writable then
    return answers
end

-- Figures that many transitions change are read first, and written afterwards with few commands: only reading them can
-- fail, for a key of the wrong type or content, and then nothing is written. Each write is a command, its key and its
-- arguments.
local writes, write_count = {}, 0
local function add_write(command, key, arguments, argument_count)
    if argument_count > 0 then
        write_count = write_count + 1
        writes[write_count] = {command, key, arguments, argument_count}
    end
end
local function damage(kind, key, reason)
    local code = (kind == 'own_counts' or kind == 'members') and 'ONEKEY ' or 'SHAREDKEY '
    return redis.error_reply(code .. key .. ': ' .. reason)
end
-- Lua computes with 53 bits; no count has more.
local function is_integer(text)
    return string.find(text, '^-?%d+$') and string.format('%.0f', tonumber(text)) == text
end

-- Plans to add numbers to the fields of a hash, or to the scores of a sorted set. Returns an error, or nothing.
local function plan_sums(kind, key, offset, fields)
    local is_ranking = kind == 'ranking'
    local sums, sum_count, zeros, zero_count = {}, 0, {}, 0
    for first = 1, fields, most_arguments do
        local last, names = math.min(first + most_arguments - 1, fields), {}
        for j = first, last do
            names[j - first + 1] = ARGV[offset + 1 + 2 * j]
        end
        local stored = redis.pcall(is_ranking and 'ZMSCORE' or 'HMGET', key, unpack(names))
        if stored.err then
            return string.find(stored.err, 'WRONGTYPE', 1, true) and damage(kind, key, stored.err) or stored
        end
        for j = 1, last - first + 1 do
            local text = stored[j]
            if text and not is_ranking and not is_integer(text) then
                return damage(kind, key, 'field ' .. names[j] .. ' is not an integer')
            end
            local sum = (text and tonumber(text) or 0) + tonumber(ARGV[offset + 2 * (first + j)])
            if sum == 0 then
                zero_count = zero_count + 1
                zeros[zero_count] = names[j]
            else
                local value = string.format(is_ranking and '%.17g' or '%.0f', sum)
                sums[sum_count + 1] = is_ranking and value or names[j]
                sums[sum_count + 2] = is_ranking and names[j] or value
                sum_count = sum_count + 2
            end
        end
    end
    add_write(is_ranking and 'ZADD' or 'HSET', key, sums, sum_count)
    add_write(is_ranking and 'ZREM' or 'HDEL', key, zeros, zero_count)
end

-- Plans to add members to a list, and to remove others. Returns an error, or nothing.
local function plan_members(kind, key, offset, fields)
    local stored_type = redis.call('TYPE', key).ok
    if stored_type ~= 'none' and stored_type ~= 'zset' then
        return damage(kind, key, 'WRONGTYPE ' .. stored_type)
    end
    local added, added_count, removed, removed_count = {}, 0, {}, 0
    for j = 1, fields do
        local member = ARGV[offset + 1 + 2 * j]
        if ARGV[offset + 2 + 2 * j] == '1' then
            added[added_count + 1], added[added_count + 2] = '0', member
            added_count = added_count + 2
        else
            removed_count = removed_count + 1
            removed[removed_count] = member
        end
    end
    add_write('ZADD', key, added, added_count)
    add_write('ZREM', key, removed, removed_count)
end

-- Own counts have few fields, of which each is changed by one command after the planning; if that fails, those before it
-- are undone.
local own, own_count = {}, 0
local offset = 3 + 4 * states
for target = 1, targets do
    local key, kind, fields = KEYS[1 + states + target], ARGV[offset], tonumber(ARGV[offset + 2])
    if kind == 'own_counts' then
        for j = offset + 3, offset + 1 + 2 * fields, 2 do
            own_count = own_count + 1
            own[own_count] = {key, ARGV[j], ARGV[j + 1]}
        end
    else
        local plan = kind == 'members' and plan_members or plan_sums
        local failure = plan(kind, key, offset, fields)
        if failure then
            return failure
        end
    end
    if ARGV[offset + 1] ~= '0' then
        add_write('EXPIREAT', key, {ARGV[offset + 1]}, 1)
    end
    offset = offset + 3 + 2 * fields
end
for i = 1, own_count do
    local key, field, number = unpack(own[i])
    local sum = redis.pcall('HINCRBY', key, field, number)
    if type(sum) == 'table' then
        for j = 1, i - 1 do
            if redis.call('HINCRBY', own[j][1], own[j][2], string.format('%.0f', -tonumber(own[j][3]))) == 0 then
                redis.call('HDEL', own[j][1], own[j][2])
            end
        end
        local is_damage =
            string.find(sum.err, 'WRONGTYPE', 1, true) or string.find(sum.err, 'not an integer', 1, true)
        return is_damage and damage('own_counts', key, sum.err) or sum
    end
    if sum == 0 then
        add_write('HDEL', key, {field}, 1)
    end
end

for i = 1, write_count do
    local command, key, arguments, count = unpack(writes[i])
    for first = 1, count, most_arguments do
        redis.call(command, key, unpack(arguments, first, math.min(first + most_arguments - 1, count)))
    end
end
for i = 1, states do
    local key, start = KEYS[1 + i], 4 * i - 1
    redis.call('HSET', key, 'version', ARGV[start + 1], 'state', ARGV[start + 2])
    if ARGV[start + 3] ~= '0' then
        redis.call('EXPIRE', key, ARGV[start + 3])
    end
end
return 1
