select id, aggregate_type, aggregate_id, sequence, position, event_id, event_type, event_version, recorded_at, headers,
    value, attempts, last_reason
from dead_letters
where projection = $1 and generation = $2 and aggregate_type = $3 and aggregate_id = $4
order by position, id
