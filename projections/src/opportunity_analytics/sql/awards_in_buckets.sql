select ?fields
from awards final
where CRC32(opportunity_id) % 256 between ? and ?
