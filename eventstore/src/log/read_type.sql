select position, event_id, tenant_id, aggregate_type, aggregate_id, sequence, event_type, event_version, recorded_at,
       metadata::text as metadata, payload::text as payload
from events
where aggregate_type = $1 and (aggregate_id, sequence) > ($2, $3)
order by aggregate_id, sequence
limit $4
