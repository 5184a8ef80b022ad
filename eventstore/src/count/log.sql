select count(*),
       count(*) filter (where sequence = 1),
       count(*) filter (where sequence = 1 and aggregate_type = $1)
from events
