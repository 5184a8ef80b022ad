select
    dimension, value, other_dimension, other_value, 0::smallint as third_dimension, '' as third_value,
    opportunities, awarded, awarded_cents::text as awarded_cents
from {schema}.counters
where opportunities <> 0 or awarded <> 0 or awarded_cents <> 0
union all
select
    dimension, value, other_dimension, other_value, third_dimension, third_value,
    opportunities, awarded, awarded_cents::text as awarded_cents
from {schema}.triple_counters
where opportunities <> 0 or awarded <> 0 or awarded_cents <> 0
