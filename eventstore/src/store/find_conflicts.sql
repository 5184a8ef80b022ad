select input_index
from unnest($1::text[], $2::text[], $3::bigint[])
    with ordinality as new (aggregate_type, aggregate_id, sequence, input_index)
where exists (
    select from events
    where events.aggregate_type = new.aggregate_type
      and events.aggregate_id = new.aggregate_id
      and events.sequence = new.sequence
)
