select aggregate_type, aggregate_id, min(position) as position
from dead_letters
where projection = $1 and generation = $2
group by aggregate_type, aggregate_id
