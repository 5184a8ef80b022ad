with deleted as (
    delete from projection_workers
    where seen_at < now() - interval '1 hour' and (instance, projection, generation) <> ($1, $2, $3)
)
insert into projection_workers (instance, projection, generation, host, state, partitions, applied, lag_s, last_error)
select $1, $2, $3, $4, $5, $6, $7, $8, $9
where exists (select from projection_generations where projection = $2 and generation = $3)
    -- Nobody needs a heartbeat of before a crash of Postgres: its commit does not wait for the disk.
    and (select set_config('synchronous_commit', 'off', true)) is not null
on conflict (instance, projection, generation) do update
set host = excluded.host,
    state = excluded.state,
    partitions = excluded.partitions,
    applied = excluded.applied,
    lag_s = excluded.lag_s,
    last_error = excluded.last_error,
    seen_at = now()
