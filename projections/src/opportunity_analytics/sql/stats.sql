select
    toBool(grouping(day) = 0) as is_day,
    toString(agency_code) as agency_code,
    toString(any(agency_name)) as agency_name,
    toString(notice_type) as notice_type,
    day,
    count() as opportunities,
    countIf(won.awards > 0) as awarded,
    toInt64(ifNull(if(sum(won.cents) > toInt128(9223372036854775807), toInt128(9223372036854775807), sum(won.cents)), 0)) as awarded_cents
from (select *, toDate32(posted_at, 'UTC') as day from chosen) as chosen
left join won on won.opportunity_id = chosen.id
group by grouping sets ((agency_code, notice_type), (day))
order by is_day, agency_code, notice_type, day
