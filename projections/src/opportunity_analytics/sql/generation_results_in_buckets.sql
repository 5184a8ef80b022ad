select ?fields
from generation_results final
where CRC32(aggregate_id) % 256 between ? and ?
