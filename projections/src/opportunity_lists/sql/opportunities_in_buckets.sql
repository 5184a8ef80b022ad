select
    id, bucket, sequence, notice_id, notice_type, title, description, solicitation_number, agency_code, agency_name,
    sub_tier, office, set_aside, naics, naics_sector, psc, posted_at, posted_rank, response_deadline, active, link,
    place_city, place_state, awards, awarded_cents, terms::text as terms,
    facets
from {schema}.opportunities
where bucket between $1 and $2
