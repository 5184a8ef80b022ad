select 0::bigint as place, sequence, event_type, event_version, payload::text, position, metadata::text
from events
where aggregate_type = $1 and aggregate_id = $2
order by sequence
