-- Figures by minute and by hour that outlive the rows they are made of. What is kept is a set of positions, of users and
-- of visits, not a sum: taking an event in again, in whatever batch, adds nothing to a set.
create table if not exists engagement_1m_states
(
    tenant_id      LowCardinality(String),
    opportunity_id String,
    kind           LowCardinality(String),
    minute         DateTime('UTC'),
    events         AggregateFunction(groupBitmap, UInt64)         comment 'positions',
    users          AggregateFunction(uniqExactIf, String, UInt8)  comment 'users who were signed in',
    visits         AggregateFunction(uniqExactIf, String, UInt8)  comment 'visits that viewed or clicked'
)
engine = AggregatingMergeTree
partition by toYYYYMM(minute)
order by (tenant_id, opportunity_id, kind, minute);

create table if not exists engagement_1h_states
(
    tenant_id      LowCardinality(String),
    opportunity_id String,
    kind           LowCardinality(String),
    hour           DateTime('UTC'),
    events         AggregateFunction(groupBitmap, UInt64)         comment 'positions',
    users          AggregateFunction(uniqExactIf, String, UInt8)  comment 'users who were signed in',
    visits         AggregateFunction(uniqExactIf, String, UInt8)  comment 'visits that viewed or clicked'
)
engine = AggregatingMergeTree
partition by toYYYYMM(hour)
order by (tenant_id, opportunity_id, kind, hour);

create materialized view if not exists engagement_into_1m to engagement_1m_states as
select
    tenant_id, opportunity_id, kind, toStartOfMinute(engagement.at) as minute,
    groupBitmapState(engagement.position) as events,
    uniqExactIfState(engagement.user_id, toUInt8(engagement.user_id != '')) as users,
    uniqExactIfState(engagement.aggregate_id, toUInt8(engagement.kind in ('view', 'click'))) as visits
from engagement
group by tenant_id, opportunity_id, kind, minute;

create materialized view if not exists engagement_into_1h to engagement_1h_states as
select
    tenant_id, opportunity_id, kind, toStartOfHour(engagement.at) as hour,
    groupBitmapState(engagement.position) as events,
    uniqExactIfState(engagement.user_id, toUInt8(engagement.user_id != '')) as users,
    uniqExactIfState(engagement.aggregate_id, toUInt8(engagement.kind in ('view', 'click'))) as visits
from engagement
group by tenant_id, opportunity_id, kind, hour;

create view if not exists engagement_1m as
select
    s.tenant_id as tenant_id, s.opportunity_id as opportunity_id, s.minute as minute,
    groupBitmapMergeIf(s.events, s.kind = 'view') as views,
    groupBitmapMergeIf(s.events, s.kind = 'click') as clicks,
    groupBitmapMergeIf(s.events, s.kind = 'save') as saves,
    groupBitmapMergeIf(s.events, s.kind = 'unsave') as unsaves,
    uniqExactIfMerge(s.users) as users,
    uniqExactIfMergeIf(s.users, s.kind = 'view') as viewers,
    uniqExactIfMerge(s.visits) as visits
from engagement_1m_states as s
group by s.tenant_id, s.opportunity_id, s.minute;

create view if not exists engagement_1h as
select
    s.tenant_id as tenant_id, s.opportunity_id as opportunity_id, s.hour as hour,
    groupBitmapMergeIf(s.events, s.kind = 'view') as views,
    groupBitmapMergeIf(s.events, s.kind = 'click') as clicks,
    groupBitmapMergeIf(s.events, s.kind = 'save') as saves,
    groupBitmapMergeIf(s.events, s.kind = 'unsave') as unsaves,
    uniqExactIfMerge(s.users) as users,
    uniqExactIfMergeIf(s.users, s.kind = 'view') as viewers,
    uniqExactIfMerge(s.visits) as visits
from engagement_1h_states as s
group by s.tenant_id, s.opportunity_id, s.hour;
