-- Facts: events that nobody decides about, such as the steps of visits. Their ids follow from what they say, and the log
-- refuses an id that is there already (ADR 0027). Other events have random ids, and pay for no index.
create unique index events_fact_id on events (event_id) where aggregate_type = 'visit';

-- Appends facts that are not on record yet, in the order given, each behind the last event of its stream. Answers for those
-- that were not appended: 'known' are on record, 'full' would be beyond `stream_events` events of their stream.
--
-- What it costs depends on the facts alone: two look-ups in an index for each, however long the log and the streams are.
-- The settings hold it to that also where the statistics are those of an empty table.
create function append_facts(
    ids uuid[], streams text[], types text[], versions text[], payloads text[], origins text[], stream_events bigint
) returns table (place bigint, outcome text)
language plpgsql volatile
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
    return query
    with told as materialized (
        select t.place, t.id, t.stream, t.type, t.version, t.payload, t.origin,
            (
                select true from events e where e.aggregate_type = 'visit' and e.event_id = t.id limit 1
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

-- Which of these streams exist.
create function streams_on_record(kind text, ids text[]) returns setof text
language plpgsql stable
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
begin
    return query
    select wanted.id
    from unnest(ids) as wanted(id)
    where (
        select true from events e where e.aggregate_type = kind and e.aggregate_id = wanted.id and e.sequence = 1
    );
end
$$;
