select position, event_id, tenant_id, aggregate_type, aggregate_id, sequence, event_type, event_version, recorded_at,
       metadata::text as metadata, payload::text as payload
from events
where position = any ($1)
order by position
