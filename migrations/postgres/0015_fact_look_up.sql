-- While statistics knew of no visit, the planner looked facts up by the primary key: all visits for each fact. Written as an
-- expression, the condition is one that no other index can serve.
drop index events_fact_id;
create unique index events_fact_id on events (event_id) where (aggregate_type || '') = 'visit';

-- Appends facts that are not on record yet, in the order given, each behind the last event of its stream. Answers for those
-- that were not appended: 'known' are on record, 'full' would be beyond `stream_events` events of their stream.
--
-- Its cost depends on the facts alone: two index look-ups for each, however long the log and the streams are. The settings
-- keep the planner from scans and nested loops that statistics of an earlier, smaller table suggest.
create or replace function append_facts(
    ids uuid[], streams text[], types text[], versions text[], payloads text[], origins text[], stream_events bigint
) returns table (place bigint, outcome text)
language plpgsql volatile
set enable_seqscan = off
set enable_nestloop = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
    return query
    with told as materialized (
        select t.place, t.id, t.stream, t.type, t.version, t.payload, t.origin,
            (
                select true from events e where (e.aggregate_type || '') = 'visit' and e.event_id = t.id limit 1
            ) as is_known
        from unnest(ids, streams, types, versions, payloads, origins)
            with ordinality as t(id, stream, type, version, payload, origin, place)
    ),
    ends as materialized (
        select s.stream, coalesce(
            (
                select e.sequence from events e
                where e.aggregate_type = 'visit' and e.aggregate_id = s.stream
                order by e.sequence desc
                limit 1
            ), 0) as last
        from (select distinct t.stream from told t where t.is_known is null) s
    ),
    fresh as materialized (
        select t.*, n.last + row_number() over (partition by t.stream order by t.place) as sequence
        from told t join ends n on n.stream = t.stream
        where t.is_known is null
    ),
    appended as (
        insert into events
            (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, event_id)
        select 'visit', f.stream, f.sequence, f.type, f.version, f.payload::json, f.origin::json, f.id
        from fresh f
        where f.sequence <= stream_events
        order by f.place
    )
    select t.place, 'known' from told t where t.is_known
    union all
    select f.place, 'full' from fresh f where f.sequence > stream_events;
end
$$;
