update projection_rebuild_parts part
set position = $3, target = $4, events = $5, updated_at = now()
from projection_rebuilds rebuild
where part.rebuild_id = $1 and part.projection = $2 and rebuild.id = part.rebuild_id and rebuild.state = 'running'
    and part.phase = 'filling'
returning part.rebuild_id
