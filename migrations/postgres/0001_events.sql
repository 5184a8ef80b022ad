-- The log: one immutable row per event, in the shape postgres-es expects, extended by columns that fill themselves.
create table events (
    aggregate_type text        not null,
    aggregate_id   text        not null,
    sequence       bigint      not null check (sequence > 0),
    event_type     text        not null,
    event_version  text        not null,
    payload        json        not null,
    metadata       json        not null,
    position       bigint      generated always as identity,
    event_id       uuid        not null default gen_random_uuid(),
    tenant_id      text        not null generated always as (coalesce(metadata ->> 'tenant_id', 'public')) stored,
    recorded_at    timestamptz not null default clock_timestamp(),
    transaction_id xid8        not null default pg_current_xact_id(),
    primary key (aggregate_type, aggregate_id, sequence)
);

create unique index events_position on events (position) include (tenant_id);

create table snapshots (
    aggregate_type   text   not null,
    aggregate_id     text   not null,
    last_sequence    bigint not null check (last_sequence >= 0),
    current_snapshot bigint not null check (current_snapshot >= 0),
    payload          json   not null,
    primary key (aggregate_type, aggregate_id, last_sequence)
);

-- The log only grows.
create function log_is_immutable() returns trigger language plpgsql as $$
begin
    raise exception 'the event log is immutable: % is refused', tg_op using errcode = 'integrity_constraint_violation';
end
$$;

create trigger events_are_immutable
    before update or delete or truncate on events
    for each statement execute function log_is_immutable();
