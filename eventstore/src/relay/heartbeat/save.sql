with deleted as (
    delete from relay_instances where seen_at < now() - interval '1 hour' and instance <> $1
)
insert into relay_instances (instance, host, state, position, last_error)
select $1, $2, $3, $4, $5
-- Nobody needs a heartbeat of before a crash of Postgres: its commit does not wait for the disk.
where (select set_config('synchronous_commit', 'off', true)) is not null
on conflict (instance) do update
set host = excluded.host,
    state = excluded.state,
    position = excluded.position,
    last_error = excluded.last_error,
    seen_at = now()
