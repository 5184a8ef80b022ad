-- Publishes each event that comes after the last published one of its stream. All keys have the same hash tag.
-- KEYS: for each event the key of the last published sequence of its stream.
-- ARGV: time to live of these keys in seconds; then for each event its sequence, channel and message.
-- Returns the number of published events.
local published = 0
for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * 3
  local sequence = tonumber(ARGV[at])
  if sequence > tonumber(redis.call('get', key) or '0') then
    redis.call('set', key, ARGV[at], 'EX', ARGV[1])
    redis.call('publish', ARGV[at + 1], ARGV[at + 2])
    published = published + 1
  end
end
return published
