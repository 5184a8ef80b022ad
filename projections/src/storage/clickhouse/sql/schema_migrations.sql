create table if not exists schema_migrations
(
    name       String,
    applied_at DateTime default now()
)
engine = ReplacingMergeTree
order by name
