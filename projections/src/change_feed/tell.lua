-- Tells each event that comes after the last one told of its stream.
-- KEYS: for each event the key that remembers what was told of its stream.
-- ARGV: seconds that it is remembered; then for each event its sequence, channel and message.
-- Answers how many were told.
local told = 0
for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * 3
  local sequence = tonumber(ARGV[at])
  if sequence > tonumber(redis.call('get', key) or '0') then
    redis.call('set', key, ARGV[at], 'EX', ARGV[1])
    redis.call('publish', ARGV[at + 1], ARGV[at + 2])
    told = told + 1
  end
end
return told
