select ?fields
from generation_requests final
where CRC32(aggregate_id) % 256 between ? and ?
