-- What each projection was pointed at before it moved itself, whatever moved since, so that each can go back; and which
-- moved last together.
alter table projection_pointer add column moved jsonb not null default '[]';
update projection_pointer
set moved = (
        select coalesce(jsonb_agg(live.key order by live.key), '[]')
        from jsonb_each(generations) live
        where previous -> live.key is not null and previous -> live.key <> live.value
    ),
    previous = (
        select coalesce(jsonb_object_agg(before.key, before.value), '{}')
        from jsonb_each(previous) before
        where generations -> before.key <> before.value
    );

-- A failure after the switch left rebuilds behind as running: giving those up dropped what readers saw.
update projection_rebuilds rebuild
set state = 'switched', finished_at = coalesce(finished_at, now())
where state = 'running'
    and exists (select from projection_rebuild_parts part where part.rebuild_id = rebuild.id)
    and not exists (
        select from projection_rebuild_parts part where part.rebuild_id = rebuild.id and part.phase <> 'switched'
    );
update projection_rebuilds set state = 'failed', error = coalesce(error, 'a later one was begun'), finished_at = now()
where state = 'running' and id < (select max(id) from projection_rebuilds where state = 'running');
create unique index projection_rebuilds_one_runs on projection_rebuilds (state) where state = 'running';
