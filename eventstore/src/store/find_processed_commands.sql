select wanted.key, found.*
from unnest($2::text[]) as wanted (key)
cross join lateral (
    select aggregate_type, aggregate_id, sequence, coalesce(metadata ->> 'command_digest', '') as digest,
        count(*) over () as events
    from events
    where tenant_id = $1 and metadata ->> 'idempotency_key' = wanted.key
    order by position desc
    limit 1
) found
