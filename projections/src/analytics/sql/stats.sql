select
    toUInt8(grouping(agency_code) * 1 + grouping(notice_type) * 2 + grouping(day) * 3) as level,
    toString(agency_code) as agency_code,
    toString(any(agency_name)) as agency_name,
    toString(notice_type) as notice_type,
    day,
    count() as opportunities,
    countIf(won.awards > 0) as awarded,
    toInt64(ifNull(if(sum(won.cents) > toInt128(9223372036854775807), toInt128(9223372036854775807), sum(won.cents)), 0)) as awarded_cents
from (select *, toDate32(posted_at, 'UTC') as day from chosen) as chosen
left join won on won.opportunity_id = chosen.id
group by grouping sets ((), (agency_code), (notice_type), (day))
order by level, opportunities desc, agency_code, notice_type, day
