with deleted as (
    delete from relay_instances where seen_at < now() - interval '1 hour' and instance <> $1
)
insert into relay_instances (instance, host, state, position, last_error)
values ($1, $2, $3, $4, $5)
on conflict (instance) do update
set host = excluded.host,
    state = excluded.state,
    position = excluded.position,
    last_error = excluded.last_error,
    seen_at = now()
