-- Every event of the log, once: facts for analysts. An event that is written again is the same row and merges away.
create table if not exists events
(
    position       UInt64                       comment 'place in the whole log',
    event_id       UUID                         comment 'identity, the same in every store',
    tenant_id      LowCardinality(String)       comment 'whose data it is; public for federal notices',
    context        LowCardinality(String)       comment 'bounded context, e.g. opportunities',
    aggregate_type LowCardinality(String),
    aggregate_id   String                       comment 'the stream, e.g. 097:SPE4A726RX326',
    sequence       UInt64                       comment 'place in the stream, from 1',
    event_type     LowCardinality(String)       comment 'e.g. opportunity.awarded',
    event_version  LowCardinality(String),
    recorded_at    DateTime64(6, 'UTC')         comment 'when the log took it',
    correlation_id String                       comment 'groups what one request set in motion',
    causation_id   String,
    user_id        String                       comment 'who asked; empty for machines',
    payload        String                       comment 'the event as JSON' codec(ZSTD(1))
)
engine = ReplacingMergeTree
partition by toYYYYMM(recorded_at)
order by (tenant_id, context, event_type, recorded_at, event_id)
settings non_replicated_deduplication_window = 1000;
