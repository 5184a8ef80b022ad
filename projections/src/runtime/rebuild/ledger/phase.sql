update projection_rebuild_parts
set phase = $3, updated_at = now()
where rebuild_id = $1 and projection = $2
