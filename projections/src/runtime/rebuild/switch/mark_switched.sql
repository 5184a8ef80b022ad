with switched as (
    update projection_rebuilds
    set state = 'switched', error = null, finished_at = now()
    where id = $1 and state = 'running'
    returning id
), parts as (
    update projection_rebuild_parts set phase = 'switched', updated_at = now()
    where rebuild_id in (select id from switched)
)
select id from switched
