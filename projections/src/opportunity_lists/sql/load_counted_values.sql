select
    id, sequence, agency_code, notice_type, set_aside, naics, place_state, posted_at, response_deadline, awards,
    awarded_cents
from {schema}.opportunities
where id = any($1)
