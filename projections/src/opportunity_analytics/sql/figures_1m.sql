select
    tenant_id, kind, opportunity_id, minute as time,
    groupBitmapMerge(s.events) as events, uniqExactIfMerge(s.users) as users, uniqExactIfMerge(s.visits) as visits
from engagement_1m_states as s
where minute >= fromUnixTimestamp(toInt64(?))
group by tenant_id, kind, opportunity_id, minute
