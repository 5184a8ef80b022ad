select ?fields
from generated_sections final
where CRC32(aggregate_id) % 256 between ? and ?
