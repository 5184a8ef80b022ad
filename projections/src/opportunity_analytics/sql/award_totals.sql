with
    cast(? as Array(String)) as wanted_ids,
    won as (
        select opportunity_id, count() as awards, sumOrNull(toInt128(amount_cents)) as cents
        from awards final
        where opportunity_id in wanted_ids
        group by opportunity_id
    )
select
    opportunity_id, awards,
    toInt64(if(cents > toInt128(9223372036854775807), toInt128(9223372036854775807), cents)) as awarded_cents
from won
