with
    chosen as (select * from opportunities final where /* conditions */),
    won as (
        select opportunity_id, count() as awards, sumOrNull(toInt128(amount_cents)) as cents
        from awards final
        group by opportunity_id
    )
