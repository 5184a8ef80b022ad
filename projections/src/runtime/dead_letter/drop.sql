with dropped as (
    delete from dead_letters where id = $1
    returning *
)
insert into dropped_letters (
    id, projection, generation, aggregate_type, aggregate_id, sequence, position, event_id, event_type, fingerprint,
    reason, dropped_by
)
select dropped.id, projection, generation, aggregate_type, aggregate_id, sequence, position, event_id, event_type,
    parked.fingerprint, $2, $3
from dropped
join parked_sequences as parked using (projection, generation, aggregate_type, aggregate_id)
