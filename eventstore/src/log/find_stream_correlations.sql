-- The correlation ids of the last events of a stream, the newest first. The list of types lets Postgres use the primary key.
select last.correlation_id, max(last.recorded_at) as last_recorded_at
from (
    select e.metadata ->> 'correlation_id' as correlation_id, e.recorded_at, e.position
    from unnest($1::text[]) as kind (aggregate_type)
    cross join lateral (
        select metadata, recorded_at, position
        from events
        where aggregate_type = kind.aggregate_type and aggregate_id = $2 and ($3::text is null or tenant_id = $3)
        order by sequence desc
        limit $4
    ) e
) last
where last.correlation_id is not null
group by last.correlation_id
order by max(last.position) desc
