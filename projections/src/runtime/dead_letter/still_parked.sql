select aggregate_type, aggregate_id
from parked_sequences
where projection = $1 and generation = $2
    and (aggregate_type, aggregate_id) in (select * from unnest($3::text[], $4::text[]))
order by aggregate_type, aggregate_id
for update
