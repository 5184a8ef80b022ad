update {schema}.opportunities as stored
set awards = written.awards, awarded_cents = written.awarded_cents
from unnest($1::text[], $2::integer[], $3::bigint[]) as written (id, awards, awarded_cents)
where stored.id = written.id
