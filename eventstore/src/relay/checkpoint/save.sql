insert into relay_checkpoints as held (relay, incarnation, position)
values ($1, $2, $3)
on conflict (relay) do update
    set incarnation = excluded.incarnation, position = excluded.position, updated_at = now()
    where held.incarnation = excluded.incarnation and held.position < excluded.position
