with parts as (
    update projection_rebuild_parts set phase = 'switched', updated_at = now() where rebuild_id = $1
)
update projection_rebuilds
set state = 'switched', error = null, finished_at = now()
where id = $1
