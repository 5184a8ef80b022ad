-- Who leads: a lease in a row, which has to be renewed, and not a lock of a session. A pooler that hands sessions to
-- several clients makes such a lock everybody's, and keeps it when its owner is dead (ADR 0026).
--
-- The epoch grows whenever somebody takes the lease. Whoever writes as its holder names the epoch in the same
-- transaction: a holder of yesterday that comes late changes nothing.
create table leases (
    name       text        primary key,
    -- Nobody's once it was given back.
    holder     uuid,
    epoch      bigint      not null,
    -- By this server's clock, the only one that is asked.
    expires_at timestamptz not null,
    -- The machine and process of the holder.
    host       text        not null default '',
    taken_at   timestamptz not null default now()
);

-- Takes a lease that nobody has, or whose time is over: answers with the new epoch. Else with how long it is held yet.
create function take_lease(
    lease text, who uuid, seconds double precision, at_host text,
    out taken_epoch bigint, out free_in_s double precision
) language plpgsql volatile as $$
begin
    insert into leases as held (name, holder, epoch, expires_at, host, taken_at)
    values (lease, who, 1, clock_timestamp() + make_interval(secs => seconds), at_host, clock_timestamp())
    on conflict (name) do update
    set holder = who,
        epoch = held.epoch + 1,
        expires_at = clock_timestamp() + make_interval(secs => seconds),
        host = at_host,
        taken_at = clock_timestamp()
    where held.holder is null or held.expires_at <= clock_timestamp()
    returning held.epoch into taken_epoch;
    if taken_epoch is null then
        select greatest(extract(epoch from held.expires_at - clock_timestamp())::double precision, 0) into free_in_s
        from leases held where held.name = lease;
    end if;
end
$$;

-- Prolongs a lease; false where somebody else has taken it since. One whose time is over and that nobody took goes on:
-- nobody has led meanwhile.
create function renew_lease(lease text, who uuid, held_epoch bigint, seconds double precision) returns boolean
language plpgsql volatile as $$
begin
    update leases set expires_at = clock_timestamp() + make_interval(secs => seconds)
    where name = lease and holder = who and epoch = held_epoch;
    return found;
end
$$;

-- Gives a lease back, so that the next one need not wait for its end. Changes nothing where somebody else has it.
create function give_lease_back(lease text, who uuid, held_epoch bigint) returns void
language sql volatile as $$
    update leases set holder = null, expires_at = clock_timestamp()
    where name = lease and holder = who and epoch = held_epoch;
$$;

-- Whether it is this epoch that holds the lease, kept so until the transaction ends.
create function holds_lease(lease text, held_epoch bigint) returns boolean
language plpgsql volatile as $$
begin
    perform from leases where name = lease and epoch = held_epoch and holder is not null for share;
    return found;
end
$$;

-- What every running relay says about itself, once a second, whether it leads or not.
create table relay_instances (
    instance   uuid        primary key,
    host       text        not null,
    state      text        not null check (state in ('leading', 'standby', 'retrying')),
    position   bigint      not null,
    last_error text,
    seen_at    timestamptz not null default now()
) with (fillfactor = 50);

-- The checkpoint says under which epoch it was moved last.
alter table relay_checkpoints add column epoch bigint not null default 0;
