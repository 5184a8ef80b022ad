-- The positions of the events of a correlation id, $3 at most, and how many there are. When there are more, those with a
-- cause or an effect come first: an import has one correlation id for thousands of events, and few of them cause anything.
with correlated as materialized (
    select position, event_id::text as event_id, metadata ->> 'causation_id' as causation_id
    from events
    where metadata ->> 'correlation_id' = $1 and aggregate_type <> 'visit' and ($2::text is null or tenant_id = $2)
),
causes as (
    select distinct causation_id as event_id from correlated where causation_id is not null
)
select correlated.position, count(*) over () as total
from correlated
left join causes on causes.event_id = correlated.event_id
order by (correlated.causation_id is null and causes.event_id is null), correlated.position
limit $3
