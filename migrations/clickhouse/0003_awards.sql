-- One row per award of an opportunity. Read it with `final`.
create table if not exists awards
(
    opportunity_id String,
    award_key      String                       comment 'tells the awards of one opportunity apart',
    sequence       UInt64,
    tenant_id      LowCardinality(String),
    number         String                       comment 'the contract',
    awarded_on     Nullable(Date32),
    amount_cents   Nullable(Int64)              comment 'cents of a US dollar',
    awardee        String                       comment 'a company',
    recorded_at    DateTime64(6, 'UTC')
)
engine = ReplacingMergeTree(sequence)
order by (opportunity_id, award_key)
settings non_replicated_deduplication_window = 1000;
