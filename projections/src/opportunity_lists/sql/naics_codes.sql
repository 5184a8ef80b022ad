select value
from {schema}.counters
where dimension = $1
    and other_dimension = 0
    and opportunities > 0
    and exists (select from unnest($2::text[]) as prefix where starts_with(value, prefix))
order by value
