select
    tenant_id, kind, opportunity_id, hour as time,
    groupBitmapMerge(s.events) as events, uniqExactIfMerge(s.users) as users, uniqExactIfMerge(s.visits) as visits
from engagement_1h_states as s
where hour >= fromUnixTimestamp(toInt64(?))
group by tenant_id, kind, opportunity_id, hour
