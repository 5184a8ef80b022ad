with
    cast(? as Array(String)) as wanted_ids,
    won as (
        select opportunity_id, count() as awards, sumOrNull(toInt128(amount_cents)) as cents
        from awards final
        where opportunity_id in wanted_ids
        group by opportunity_id
    )
select
    id, sequence, title, description, solicitation_number, notice_id, notice_type, agency_code, agency_name, sub_tier,
    office, set_aside, naics, psc, posted_at, response_deadline, active, link, place_city, place_state,
    won.awards as awards,
    toInt64(if(won.cents > toInt128(9223372036854775807), toInt128(9223372036854775807), won.cents)) as awarded_cents
from (select * from opportunities final where id in wanted_ids) as page
left join won on won.opportunity_id = page.id
order by posted_at desc, id
