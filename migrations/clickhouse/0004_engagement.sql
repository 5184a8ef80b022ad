-- What people did: one row per page view, click, save and unsave. Read it with `final`.
create table if not exists engagement
(
    event_id       UUID,
    position       UInt64                       comment 'place in the whole log',
    tenant_id      LowCardinality(String),
    kind           LowCardinality(String)       comment 'view, click, save or unsave',
    opportunity_id String                       comment 'empty for a page about none',
    aggregate_id   String                       comment 'the visit; for saves the user',
    user_id        String                       comment 'empty for visitors who are not signed in',
    page_url       String codec(ZSTD(1)),
    target_url     String                       comment 'where a clicked link leads' codec(ZSTD(1)),
    at             DateTime64(6, 'UTC')         comment 'when it was done',
    recorded_at    DateTime64(6, 'UTC')         comment 'when the log took it',
    index by_user user_id type bloom_filter granularity 4,
    index by_page page_url type bloom_filter granularity 4
)
engine = ReplacingMergeTree
partition by toYYYYMM(recorded_at)
order by (tenant_id, opportunity_id, kind, at, event_id);
