insert into events
    (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at)
select $1, $2, 1 + count(*), $3, '1.0', $4::json, json_build_object('tenant_id', $5::text), $6::timestamptz
from events
where aggregate_type = $1 and aggregate_id = $2
returning position
