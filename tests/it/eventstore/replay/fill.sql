insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
select 'opportunity', 'f' || number, 1, 'opportunity.discovered', '1.0', $3::json, '{"tenant_id":"public"}'
from generate_series($1::bigint, $2::bigint) as number
