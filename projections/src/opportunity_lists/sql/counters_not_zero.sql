select
    dimension, value, other_dimension, other_value, opportunities, awarded, awarded_cents::text as awarded_cents
from {schema}.counters
where opportunities <> 0 or awarded <> 0 or awarded_cents <> 0
