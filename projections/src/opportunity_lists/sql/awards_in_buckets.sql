select opportunity_id, award_key, sequence, amount_cents
from {schema}.awards
where bucket between $1 and $2
