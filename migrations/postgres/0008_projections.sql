-- The builds of every read model. A worker follows those that are `following`; `building` ones are filled by a rebuild.
create table projection_generations (
    projection  text        not null,
    generation  integer     not null check (generation > 0),
    state       text        not null check (state in ('building', 'following', 'failed')),
    -- The log that it was made from, and the position up to which it was filled from the log and not from Kafka.
    incarnation uuid        not null,
    handover    bigint      not null default 0 check (handover >= 0),
    created_at  timestamptz not null default now(),
    primary key (projection, generation)
);

-- One pointer says which generation of each read model readers see: moving it is one update of one row.
create table projection_pointer (
    only_one    boolean     primary key default true check (only_one),
    version     bigint      not null,
    generations jsonb       not null,
    -- What the pointer was before it moved last, for a rollback.
    previous    jsonb       not null default '{}',
    moved_at    timestamptz not null default now()
);
insert into projection_pointer (version, generations) values (1, '{}');

-- How far a generation has taken in each partition: every event of the partition up to the position, parked ones
-- included. `ordinal` is the number of the last event on the partition, where known.
create table projection_checkpoints (
    projection  text        not null,
    generation  integer     not null,
    topic       text        not null,
    partition   integer     not null,
    position    bigint      not null check (position >= 0),
    ordinal     bigint,
    next_offset bigint      not null,
    updated_at  timestamptz not null default now(),
    primary key (projection, generation, topic, partition),
    foreign key (projection, generation) references projection_generations on delete cascade
) with (fillfactor = 50);

-- What every running worker says about itself, once a second.
create table projection_workers (
    instance   uuid        not null,
    projection text        not null,
    generation integer     not null,
    host       text        not null,
    state      text        not null,
    partitions integer     not null,
    applied    bigint      not null,
    -- How old the last event is that it took in, in seconds, while more wait; 0 when it has caught up.
    lag_s      float8      not null default 0,
    last_error text,
    seen_at    timestamptz not null default now(),
    primary key (instance, projection, generation),
    foreign key (projection, generation) references projection_generations on delete cascade
) with (fillfactor = 50);

-- A stream that a generation cannot take in further: its later events wait behind the first one that made trouble.
create table parked_sequences (
    projection     text        not null,
    generation     integer     not null,
    aggregate_type text        not null,
    aggregate_id   text        not null,
    fingerprint    text        not null,
    reason         text        not null,
    parked_at      timestamptz not null default now(),
    primary key (projection, generation, aggregate_type, aggregate_id),
    foreign key (projection, generation) references projection_generations on delete cascade
);
create index parked_sequences_by_fingerprint on parked_sequences (fingerprint);

-- The events of those streams, as they travelled.
create table dead_letters (
    id             bigint      generated always as identity primary key,
    projection     text        not null,
    generation     integer     not null,
    aggregate_type text        not null,
    aggregate_id   text        not null,
    sequence       bigint      not null,
    position       bigint      not null,
    event_id       uuid        not null,
    event_type     text        not null,
    event_version  text        not null,
    recorded_at    timestamptz not null,
    -- The record: Kafka headers as a JSON object, and the value.
    headers        json        not null,
    value          bytea       not null,
    attempts       integer     not null default 0,
    last_reason    text,
    last_tried_at  timestamptz,
    parked_at      timestamptz not null default now(),
    unique (projection, generation, aggregate_type, aggregate_id, event_id),
    foreign key (projection, generation, aggregate_type, aggregate_id) references parked_sequences on delete cascade
);

-- What was given up on purpose, and why. Stays when everything else is gone.
create table dropped_letters (
    id             bigint      primary key,
    projection     text        not null,
    generation     integer     not null,
    aggregate_type text        not null,
    aggregate_id   text        not null,
    sequence       bigint      not null,
    position       bigint      not null,
    event_id       uuid        not null,
    event_type     text        not null,
    fingerprint    text        not null,
    reason         text        not null,
    dropped_by     text        not null,
    dropped_at     timestamptz not null default now()
);

-- Rebuilds, and how far each of their parts has come.
create table projection_rebuilds (
    id          bigint      generated always as identity primary key,
    state       text        not null check (state in ('running', 'switched', 'failed')),
    started_by  text        not null,
    error       text,
    started_at  timestamptz not null default now(),
    finished_at timestamptz
);

create table projection_rebuild_parts (
    rebuild_id bigint      not null references projection_rebuilds,
    projection text        not null,
    generation integer     not null,
    replaces   integer,
    phase      text        not null check (phase in ('filling', 'catching_up', 'verifying', 'verified', 'switched')),
    position   bigint      not null default 0,
    target     bigint      not null default 0,
    events     bigint      not null default 0,
    updated_at timestamptz not null default now(),
    primary key (rebuild_id, projection)
);
