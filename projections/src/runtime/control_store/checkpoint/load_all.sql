select projection, generation, topic, partition, position, ordinal, next_offset
from projection_checkpoints
