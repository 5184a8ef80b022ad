select
    id, sequence, title, description, solicitation_number, notice_id, notice_type, agency_code, agency_name, sub_tier,
    office, set_aside, naics, psc, posted_at, response_deadline, active, link, place_city, place_state,
    won.awards as awards,
    toInt64(if(won.cents > toInt128(9223372036854775807), toInt128(9223372036854775807), won.cents)) as awarded_cents
from (
    select *
    from chosen
    where toUnixTimestamp64Micro(posted_at) < toInt64(?)
        or (toUnixTimestamp64Micro(posted_at) = toInt64(?) and id > ?)
    order by posted_at desc, id
    limit ?
) as page
left join won on won.opportunity_id = page.id
order by posted_at desc, id
