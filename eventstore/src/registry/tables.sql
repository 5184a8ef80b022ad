-- The tables of the schema registry; registry.rs says why they are not a migration.
create schema if not exists schema_registry;

-- One row with the last assigned id. Its lock serializes registrations and deletions. A sequence would leave gaps, and
-- the highest id in use plus one would assign an id again after a deletion.
create table if not exists schema_registry.ids (
    last integer not null
);
insert into schema_registry.ids
select 0 where not exists (select from schema_registry.ids);

create table if not exists schema_registry.schemas (
    id integer primary key check (id > 0),
    schema_type text not null,
    -- Decides whether two schemas are the same.
    canonical text not null,
    -- The text as first registered, which clients receive.
    original text not null,
    registered_at timestamptz not null default now(),
    -- A unique constraint that also works if the text is too long for a b-tree.
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

-- Compatibility level by subject; the empty subject is the global level.
create table if not exists schema_registry.levels (
    subject text collate "C" primary key,
    level text not null
);
