select aggregate_type, aggregate_id, sequence, coalesce(metadata ->> 'command_digest', '') as digest,
    count(*) over () as events
from events
where tenant_id = $1 and metadata ->> 'idempotency_key' = $2
order by position desc
limit 1
