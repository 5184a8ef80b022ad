-- Snapshots of long streams: one per stream, the state after `last_sequence` as the code with that fingerprint folds
-- it. They are a cache: whatever is missing, of other code or unreadable is folded from the events again. No release
-- ever wrote the earlier table, so that nothing is carried over.
drop table snapshots;

create table snapshots (
    aggregate_type text        not null,
    aggregate_id   text        not null,
    fingerprint    text        not null,
    last_sequence  bigint      not null check (last_sequence > 0),
    payload        json        not null,
    written_at     timestamptz not null default now(),
    primary key (aggregate_type, aggregate_id)
);
