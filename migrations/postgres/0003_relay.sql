-- One row: which log this is. Positions of another incarnation mean nothing here.
create table log_incarnation (
    only_one  boolean     primary key default true check (only_one),
    id        uuid        not null default gen_random_uuid(),
    since     timestamptz not null default now()
);
insert into log_incarnation default values;

-- How far the relay has published: everything up to the position is on Kafka, acknowledged.
create table relay_checkpoints (
    relay       text        primary key,
    incarnation uuid        not null,
    position    bigint      not null check (position >= 0),
    updated_at  timestamptz not null default now()
);
