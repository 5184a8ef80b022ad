-- The schema registry's own tables; see registry.rs for why they are no migration.
create schema if not exists schema_registry;

-- One row: the last id that was given out. Its lock is where registrations and deletions queue up. A sequence would
-- leave gaps, and the greatest id in use would be given out twice after a deletion.
create table if not exists schema_registry.ids (
    last integer not null
);
insert into schema_registry.ids
select 0 where not exists (select from schema_registry.ids);

create table if not exists schema_registry.schemas (
    id integer primary key check (id > 0),
    schema_type text not null,
    -- What decides whether two schemas are the same.
    canonical text not null,
    -- As it was first registered: what clients are given.
    original text not null,
    registered_at timestamptz not null default now(),
    -- Unique, also where the text is too long for a b-tree.
    exclude using hash (canonical with =)
);

create table if not exists schema_registry.versions (
    subject text collate "C" not null,
    version integer not null check (version > 0),
    schema_id integer not null references schema_registry.schemas,
    deleted boolean not null default false,
    registered_at timestamptz not null default now(),
    primary key (subject, version)
);
create index if not exists versions_by_schema on schema_registry.versions (schema_id);

-- What a new version may change, by subject; the empty subject is everybody else's.
create table if not exists schema_registry.levels (
    subject text collate "C" primary key,
    level text not null
);
