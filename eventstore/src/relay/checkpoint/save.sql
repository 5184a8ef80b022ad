insert into relay_checkpoints as held (relay, incarnation, position, epoch)
select $1, $2, $3, $4
where exists (select from leases where name = 'relay' and epoch = $4)
on conflict (relay) do update
    set incarnation = excluded.incarnation, position = excluded.position, epoch = excluded.epoch, updated_at = now()
    where held.incarnation = excluded.incarnation and held.position < excluded.position and held.epoch <= excluded.epoch
