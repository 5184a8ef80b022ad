-- Clients tell when they did something, and each month of figures is a partition. What is told about a time long before or
-- after the log took it counts at the end of a window around that, so that no client makes more than 38 of them.
alter table engagement_into_1m modify query
select
    tenant_id, opportunity_id, kind,
    toStartOfMinute(least(
        greatest(engagement.at, engagement.recorded_at - toIntervalDay(1096)), engagement.recorded_at + toIntervalDay(1)
    )) as minute,
    groupBitmapState(engagement.position) as events,
    uniqExactIfState(engagement.user_id, toUInt8(engagement.user_id != '')) as users,
    uniqExactIfState(engagement.aggregate_id, toUInt8(engagement.kind in ('view', 'click'))) as visits
from engagement
group by tenant_id, opportunity_id, kind, minute;

alter table engagement_into_1h modify query
select
    tenant_id, opportunity_id, kind,
    toStartOfHour(least(
        greatest(engagement.at, engagement.recorded_at - toIntervalDay(1096)), engagement.recorded_at + toIntervalDay(1)
    )) as hour,
    groupBitmapState(engagement.position) as events,
    uniqExactIfState(engagement.user_id, toUInt8(engagement.user_id != '')) as users,
    uniqExactIfState(engagement.aggregate_id, toUInt8(engagement.kind in ('view', 'click'))) as visits
from engagement
group by tenant_id, opportunity_id, kind, hour;
