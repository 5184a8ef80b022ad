select ?fields
from events final
where CRC32(aggregate_id) % 256 between ? and ? and recorded_at >= fromUnixTimestamp64Micro(toInt64(?), 'UTC')
