-- While a generation is filled, rows are only added, and its indexes do not exist yet.
alter table generation add column is_filling boolean not null default false;
-- From the removal of superseded rows to the last index no row is added.
alter table generation add column is_completing boolean not null default false;
-- Number of the last script that was applied.
alter table generation add column schema_version smallint not null default 2;
-- A writer of the release before locks the row by this column. It fails from here on, instead of changing half of the
-- counters. Readers of that release do not know the column, and find `counters` as they know it.
alter table generation rename column only_row to only_generation;

-- The indexes that are created when the generation has been filled.
create table deferred_indexes (
    name text primary key,
    of_table text not null,
    definition text not null,
    is_primary_key boolean not null
);

-- The last change of each batch that was added while the generation is filled.
create table filled_changes (
    opportunity_id text collate "C" not null,
    -- Empty for the details of an opportunity.
    award_key text collate "C" not null,
    sequence bigint not null,
    primary key (opportunity_id, award_key)
);

-- Counts by three values of different dimensions, in the order of their numbers. In a table of their own: readers of the
-- release before would add them to the counts by two values.
-- The program counts all counters anew, also those in `counters`, which has the day of the deadline from now on.
create table triple_counters (
    dimension smallint not null,
    value text collate "C" not null,
    other_dimension smallint not null,
    other_value text collate "C" not null,
    third_dimension smallint not null,
    third_value text collate "C" not null,
    opportunities bigint not null,
    awarded bigint not null,
    awarded_cents numeric not null,
    primary key (dimension, value, other_dimension, other_value, third_dimension, third_value)
) with (fillfactor = 50);
create index triple_counters_by_other
    on triple_counters (other_dimension, other_value, third_dimension, third_value, dimension, value);
