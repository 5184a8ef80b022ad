insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
select aggregate_type, aggregate_id, sequence, event_type, event_version, payload::json, metadata::json
from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[])
    with ordinality as new (
        aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, input_index
    )
order by input_index
