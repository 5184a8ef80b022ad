select metadata ->> 'correlation_id' as correlation_id, aggregate_type
from events
where position > $1 and position <= $2 and event_id = $3
limit 1
