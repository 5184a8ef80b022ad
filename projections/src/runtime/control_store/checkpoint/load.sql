select topic, partition, position, ordinal, next_offset
from projection_checkpoints
where projection = $1 and generation = $2
