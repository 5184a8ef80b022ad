select ?fields
from opportunities final
where CRC32(id) % 256 between ? and ?
