insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
select 'opportunity', 'bench:' || number, 1, 'opportunity.discovered', $4, sample.payload::json,
       json_build_object('tenant_id', 'public', 'correlation_id', gen_random_uuid(), 'user_id', 'system:bench')
from generate_series($1::bigint, $2::bigint) as number
join unnest($3::text[]) with ordinality as sample (payload, ordinal)
  on sample.ordinal = 1 + number % cardinality($3::text[])
