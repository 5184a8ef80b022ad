select wanted.place, wanted.key, found.*
from unnest($1::bigint[], $2::text[], $3::text[]) as wanted (place, tenant_id, key)
cross join lateral (
    select aggregate_type, aggregate_id, sequence, coalesce(metadata ->> 'command_digest', '') as digest,
        count(*) over () as events
    from events
    where tenant_id = wanted.tenant_id and metadata ->> 'idempotency_key' = wanted.key
    -- An expression: while statistics know few keys, the planner would walk the index on positions backward.
    order by position + 0 desc
    limit 1
) found
