insert into {schema}.counters as stored (
    dimension, value, other_dimension, other_value, opportunities, awarded, awarded_cents
)
select dimension, value, other_dimension, other_value, opportunities, awarded, awarded_cents::numeric
from unnest($1::smallint[], $2::text[], $3::smallint[], $4::text[], $5::bigint[], $6::bigint[], $7::text[])
    as change (dimension, value, other_dimension, other_value, opportunities, awarded, awarded_cents)
on conflict (dimension, value, other_dimension, other_value) do update set
    opportunities = stored.opportunities + excluded.opportunities,
    awarded = stored.awarded + excluded.awarded,
    awarded_cents = stored.awarded_cents + excluded.awarded_cents
