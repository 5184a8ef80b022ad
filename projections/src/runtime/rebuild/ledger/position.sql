update projection_rebuild_parts
set position = $3, target = $4, events = $5, updated_at = now()
where rebuild_id = $1 and projection = $2
