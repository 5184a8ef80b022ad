select count(*)
from (select 1 from events where position > $1 and aggregate_type = any ($2) limit $3) behind
