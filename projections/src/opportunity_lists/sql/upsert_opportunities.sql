insert into {schema}.opportunities as stored (
    id, bucket, sequence, notice_id, notice_type, title, description, solicitation_number, agency_code, agency_name,
    sub_tier, office, set_aside, naics, naics_sector, psc, posted_at, posted_rank, response_deadline, active, link,
    place_city, place_state, awards, awarded_cents, terms, facets
)
select
    id, bucket, sequence, notice_id, notice_type, title, description, solicitation_number, agency_code, agency_name,
    sub_tier, office, set_aside, naics, naics_sector, psc, posted_at, posted_rank, response_deadline, active, link,
    place_city, place_state, awards, awarded_cents, terms::tsvector, facets::text[]
from unnest(
    $1::text[], $2::smallint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::timestamptz[],
    $18::bigint[], $19::timestamptz[], $20::boolean[], $21::text[], $22::text[], $23::text[], $24::integer[],
    $25::bigint[], $26::text[], $27::text[]
) as written (
    id, bucket, sequence, notice_id, notice_type, title, description, solicitation_number, agency_code, agency_name,
    sub_tier, office, set_aside, naics, naics_sector, psc, posted_at, posted_rank, response_deadline, active, link,
    place_city, place_state, awards, awarded_cents, terms, facets
)
on conflict (id) do update set
    sequence = excluded.sequence,
    notice_id = excluded.notice_id,
    notice_type = excluded.notice_type,
    title = excluded.title,
    description = excluded.description,
    solicitation_number = excluded.solicitation_number,
    agency_code = excluded.agency_code,
    agency_name = excluded.agency_name,
    sub_tier = excluded.sub_tier,
    office = excluded.office,
    set_aside = excluded.set_aside,
    naics = excluded.naics,
    naics_sector = excluded.naics_sector,
    psc = excluded.psc,
    posted_at = excluded.posted_at,
    posted_rank = excluded.posted_rank,
    response_deadline = excluded.response_deadline,
    active = excluded.active,
    link = excluded.link,
    place_city = excluded.place_city,
    place_state = excluded.place_state,
    awards = excluded.awards,
    awarded_cents = excluded.awarded_cents,
    terms = excluded.terms,
    facets = excluded.facets
where stored.sequence < excluded.sequence
