-- An opportunity has a row for each change that was copied; an event may have been copied twice.
delete from {schema}.opportunities
where ctid = any(array(
    select ctid
    from (
        select ctid, row_number() over (partition by id order by sequence desc) as place from {schema}.opportunities
    ) as copied
    where place > 1
));

delete from {schema}.awards
where ctid = any(array(
    select ctid
    from (
        select ctid, row_number() over (partition by opportunity_id, award_key order by sequence desc) as place
        from {schema}.awards
    ) as copied
    where place > 1
));

update {schema}.opportunities as stored
set awards = total.awards, awarded_cents = total.awarded_cents
from (
    select
        opportunity_id,
        count(*)::integer as awards,
        -- `least` and `greatest` ignore a null, which is the sum while no award has an amount.
        case
            when count(amount_cents) > 0
                then greatest(least(sum(amount_cents), 9223372036854775807), -9223372036854775808)::bigint
        end as awarded_cents
    from {schema}.awards
    group by opportunity_id
) as total
where stored.id = total.opportunity_id
    and (stored.awards, stored.awarded_cents) is distinct from (total.awards, total.awarded_cents)
