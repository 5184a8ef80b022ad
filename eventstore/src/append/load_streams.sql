select aggregate_id, sequence, event_type, event_version, payload::text as payload
from events
where aggregate_type = $1 and aggregate_id = any ($2)
order by aggregate_id, sequence
