-- One row, which every transaction that writes locks: so that writers take turns, and counters match the rows.
create table generation (
    only_row boolean primary key default true check (only_row),
    -- Whether the tables have once contained everything that was on record.
    is_complete boolean not null default false
);
insert into generation default values;

-- Text is compared by bytes, so that the order of ids does not depend on the server's locale.
create table opportunities (
    id text collate "C" primary key,
    -- CRC-32 of the id modulo 256, for verify.
    bucket smallint not null,
    -- Sequence of the event that set the details.
    sequence bigint not null,
    notice_id text not null,
    notice_type text collate "C" not null,
    title text not null,
    description text,
    solicitation_number text,
    agency_code text collate "C" not null,
    agency_name text not null,
    sub_tier text,
    office text,
    set_aside text collate "C",
    naics text collate "C",
    -- The first two digits of `naics`.
    naics_sector text collate "C",
    psc text,
    posted_at timestamptz not null,
    -- The negated microseconds of `posted_at`: ascending, like the ids of equal times.
    posted_rank bigint not null,
    response_deadline timestamptz,
    active boolean,
    link text,
    place_city text,
    place_state text collate "C",
    awards integer not null,
    awarded_cents bigint,
    -- The words of title and number (weight A) and of the description.
    terms tsvector not null,
    -- The values of the columns that restrictions name, each after the number of its dimension and `=`.
    facets text[] not null
) with (fillfactor = 90);

-- The planner chooses between the order of a list and the index of words by how rare a word is; with the default of 100
-- it knows the frequency of too few words.
alter table opportunities alter column terms set statistics 500;

create table awards (
    opportunity_id text collate "C" not null,
    award_key text collate "C" not null,
    bucket smallint not null,
    sequence bigint not null,
    amount_cents bigint,
    primary key (opportunity_id, award_key)
);

-- Counts by one value, or by two of different dimensions, of which the smaller is first. Dimension 0 has all.
-- Counts change with every batch: without an index on them, and with space on the page, an update writes no index.
create table counters (
    dimension smallint not null,
    value text collate "C" not null,
    other_dimension smallint not null,
    other_value text collate "C" not null,
    opportunities bigint not null,
    awarded bigint not null,
    awarded_cents numeric not null,
    primary key (dimension, value, other_dimension, other_value)
) with (fillfactor = 50);
create index counters_by_other on counters (other_dimension, other_value, dimension, value);

create index opportunities_by_bucket on opportunities (bucket);
create index awards_by_bucket on awards (bucket);

-- A page is a range of one of these: a restriction to one value, then the order, then the id.
create index posted on opportunities (posted_rank, id);
create index deadline on opportunities (response_deadline, id);
create index amount on opportunities (awarded_cents, id);
create index agency_posted on opportunities (agency_code, posted_rank, id);
create index agency_deadline on opportunities (agency_code, response_deadline, id);
create index agency_amount on opportunities (agency_code, awarded_cents, id);
create index type_posted on opportunities (notice_type, posted_rank, id);
create index type_deadline on opportunities (notice_type, response_deadline, id);
create index type_amount on opportunities (notice_type, awarded_cents, id);
create index set_aside_posted on opportunities (set_aside, posted_rank, id) where set_aside is not null;
create index set_aside_deadline on opportunities (set_aside, response_deadline, id) where set_aside is not null;
create index set_aside_amount on opportunities (set_aside, awarded_cents, id) where set_aside is not null;
create index naics_posted on opportunities (naics, posted_rank, id) where naics is not null;
create index naics_deadline on opportunities (naics, response_deadline, id) where naics is not null;
create index naics_amount on opportunities (naics, awarded_cents, id) where naics is not null;
create index sector_posted on opportunities (naics_sector, posted_rank, id) where naics_sector is not null;
create index sector_deadline on opportunities (naics_sector, response_deadline, id) where naics_sector is not null;
create index sector_amount on opportunities (naics_sector, awarded_cents, id) where naics_sector is not null;

-- A row has some hundred words: entered a few hundred rows at a time they cost a quarter. Queries read what is pending,
-- so it is little.
create index terms on opportunities using gin (terms) with (fastupdate = on, gin_pending_list_limit = 256);
-- Finds what several restrictions leave without reading what each of them leaves.
create index facets on opportunities using gin (facets) with (fastupdate = off);
