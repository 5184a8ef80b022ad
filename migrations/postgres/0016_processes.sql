-- Process managers (ADR 33): what each instance is waiting for, the commands that it has decided and not sent yet, and
-- its timers. A decision, its commands and its timers are written in one transaction.
create table process_instances (
    process      text        not null,
    tenant_id    text        not null,
    instance_id  text        not null,
    status       text        not null check (status in ('waiting', 'finished', 'cancelled')),
    -- A command keeps failing, an operator has to resume or cancel the instance. Also of a finished one: its last
    -- commands may be the ones that fail.
    stalled      boolean     not null default false,
    state        jsonb       not null,
    -- What it is waiting for, for people. Empty if it is not waiting.
    waits_for    text        not null default '',
    waits_since  timestamptz not null default now(),
    -- The sequence of the last event that was handled, for each stream.
    handled      jsonb       not null default '{}',
    -- Grows with each decision.
    version      bigint      not null default 0,
    note         text        not null default '',
    started_at   timestamptz not null default now(),
    primary key (process, tenant_id, instance_id)
) with (fillfactor = 70);
create index process_instances_open on process_instances (process, waits_since) where status = 'waiting' or stalled;

-- Streams whose events belong to an instance because it sent a command to them.
create table process_streams (
    process        text not null,
    aggregate_type text not null,
    aggregate_id   text not null,
    tenant_id      text not null,
    instance_id    text not null,
    primary key (process, aggregate_type, aggregate_id),
    foreign key (process, tenant_id, instance_id) references process_instances on delete cascade
);

create index process_streams_by_instance on process_streams (process, tenant_id, instance_id);

create table process_timers (
    process        text        not null,
    tenant_id      text        not null,
    instance_id    text        not null,
    name           text        not null,
    due_at         timestamptz not null,
    -- Distinguishes this timer from an earlier one with the same name, and is part of its cause's id.
    set_by_version bigint      not null,
    correlation_id uuid        not null,
    primary key (process, tenant_id, instance_id, name),
    foreign key (process, tenant_id, instance_id) references process_instances on delete cascade
);
create index process_timers_by_time on process_timers (due_at);

create table process_commands (
    id              bigint      generated always as identity primary key,
    process         text        not null,
    tenant_id       text        not null,
    instance_id     text        not null,
    -- Derived from the cause: the log records the command's events once, however often it is sent.
    idempotency_key text        not null unique,
    command         jsonb       not null,
    correlation_id  uuid        not null,
    causation_id    uuid        not null,
    attempts        integer     not null default 0,
    -- When it is sent next. A runner that sends it moves this time first, so that no other sends it meanwhile.
    due_at          timestamptz not null default now(),
    last_error      text        not null default '',
    foreign key (process, tenant_id, instance_id) references process_instances on delete cascade
);
create index process_commands_by_time on process_commands (due_at);
create index process_commands_by_instance on process_commands (process, tenant_id, instance_id, id);
