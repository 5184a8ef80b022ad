-- One row per opportunity: the facts of its current notice. Read it with `final`.
create table if not exists opportunities
(
    id                  String                       comment 'agency code and solicitation number',
    sequence            UInt64                       comment 'version: place in the stream of the event that said so',
    tenant_id           LowCardinality(String),
    notice_id           String,
    title               String,
    description         String codec(ZSTD(1)),
    solicitation_number String,
    notice_type         LowCardinality(String),
    base_type           LowCardinality(String),
    agency_code         LowCardinality(String),
    agency_name         LowCardinality(String),
    sub_tier            LowCardinality(String),
    office              String,
    set_aside           LowCardinality(String)       comment 'code; empty for none',
    naics               LowCardinality(String),
    psc                 LowCardinality(String)       comment 'product or service code',
    posted_at           DateTime64(6, 'UTC'),
    response_deadline   Nullable(DateTime64(6, 'UTC')),
    archive_on          Nullable(Date32),
    active              Nullable(Bool),
    place_city          String,
    place_state         LowCardinality(String),
    place_zip           String,
    place_country       LowCardinality(String),
    link                String,
    recorded_at         DateTime64(6, 'UTC'),
    search_text         String materialized lowerUTF8(concat(title, '\n', solicitation_number, '\n', description))
                                                     comment 'what words are looked for in' codec(ZSTD(1))
)
engine = ReplacingMergeTree(sequence)
order by id
settings non_replicated_deduplication_window = 1000, index_granularity = 512;
