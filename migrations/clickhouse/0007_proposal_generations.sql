-- One row per requested generation of a proposal. Read it with `final`.
create table if not exists generation_requests
(
    tenant_id      LowCardinality(String)       comment 'the company',
    generation_id  String,
    aggregate_id   String                       comment 'the stream',
    sequence       UInt64,
    position       UInt64                       comment 'position of the event in the log',
    proposal_id    String,
    opportunity_id String,
    sections       UInt32                       comment 'number of requested sections',
    prompt         LowCardinality(String)       comment 'name of the prompt',
    prompt_version LowCardinality(String),
    variants       Map(String, String)          comment 'variant of the company by experiment, when it was requested',
    requested_by   String,
    requested_at   DateTime64(6, 'UTC'),
    recorded_at    DateTime64(6, 'UTC')
)
engine = ReplacingMergeTree(sequence)
order by (tenant_id, generation_id)
settings non_replicated_deduplication_window = 1000;

-- One row per section that was generated, or that no provider could write. Without its text. Read it with `final`.
create table if not exists generated_sections
(
    tenant_id          LowCardinality(String),
    generation_id      String,
    section            String                   comment 'key of the section',
    aggregate_id       String,
    sequence           UInt64,
    position           UInt64,
    outcome            LowCardinality(String)   comment 'generated or failed',
    reason             String                   comment 'why it failed; empty otherwise',
    provider           LowCardinality(String),
    model              LowCardinality(String)   comment 'the model that was asked for',
    model_version      LowCardinality(String)   comment 'the model that answered',
    prompt             LowCardinality(String),
    prompt_version     LowCardinality(String),
    input_tokens       UInt64,
    output_tokens      UInt64,
    tokens_estimated   Bool                     comment 'whether the provider reported no credible usage',
    cost_micros        UInt64                   comment 'millionths of a US dollar',
    latency_ms         UInt64                   comment 'failed providers included',
    failed_providers   Array(String)            comment 'providers that failed before, in order',
    sentences          UInt32,
    unsourced_sentences UInt32                  comment 'sentences without a source',
    sources            UInt32,
    recorded_at        DateTime64(6, 'UTC')
)
engine = ReplacingMergeTree(sequence)
order by (tenant_id, generation_id, section)
settings non_replicated_deduplication_window = 1000;

-- The end and the last rating of each generation. Read it with `final`.
create table if not exists generation_results
(
    tenant_id      LowCardinality(String),
    generation_id  String,
    kind           LowCardinality(String)       comment 'end or rating',
    aggregate_id   String,
    sequence       UInt64,
    position       UInt64,
    value          LowCardinality(String)       comment 'completed, failed, cancelled; helpful, unhelpful',
    reason         String                       comment 'why it failed or was cancelled; empty otherwise',
    recorded_at    DateTime64(6, 'UTC')
)
engine = ReplacingMergeTree(sequence)
order by (tenant_id, generation_id, kind)
settings non_replicated_deduplication_window = 1000;

create view if not exists proposal_generations as
select
    r.tenant_id as tenant_id, r.generation_id as generation_id, r.proposal_id as proposal_id,
    r.opportunity_id as opportunity_id, r.prompt as prompt, r.prompt_version as prompt_version, r.variants as variants,
    r.requested_by as requested_by, r.requested_at as requested_at, r.sections as sections,
    s.generated_sections as generated_sections, s.failed_sections as failed_sections, s.providers as providers,
    s.input_tokens as input_tokens, s.output_tokens as output_tokens, s.cost_micros as cost_micros,
    s.latency_ms as latency_ms, s.sentences as sentences, s.unsourced_sentences as unsourced_sentences,
    if(e.outcome = '', 'running', e.outcome) as outcome, e.reason as reason, e.rating as rating,
    e.ended_at as ended_at, e.ended_position as ended_position
from (select * from generation_requests final) as r
left join (
    select
        tenant_id, generation_id, countIf(outcome = 'generated') as generated_sections,
        countIf(outcome = 'failed') as failed_sections, arraySort(groupUniqArrayIf(toString(provider), provider != '')) as providers,
        sum(input_tokens) as input_tokens, sum(output_tokens) as output_tokens, sum(cost_micros) as cost_micros,
        sum(latency_ms) as latency_ms, sum(sentences) as sentences, sum(unsourced_sentences) as unsourced_sentences
    from generated_sections final
    group by tenant_id, generation_id
) as s on s.tenant_id = r.tenant_id and s.generation_id = r.generation_id
left join (
    select
        tenant_id, generation_id, anyIf(toString(value), kind = 'end') as outcome, anyIf(reason, kind = 'end') as reason,
        anyIf(toString(value), kind = 'rating') as rating, maxIf(toNullable(recorded_at), kind = 'end') as ended_at,
        maxIf(position, kind = 'end') as ended_position
    from generation_results final
    group by tenant_id, generation_id
) as e on e.tenant_id = r.tenant_id and e.generation_id = r.generation_id;
