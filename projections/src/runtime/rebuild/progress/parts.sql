select projection, generation, replaces, phase, position, target, events
from projection_rebuild_parts
where rebuild_id = $1
order by projection
