select opportunity_id, award_key, sequence, amount_cents
from {schema}.awards
where opportunity_id = any($1)
