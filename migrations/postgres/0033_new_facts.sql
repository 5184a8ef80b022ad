-- Appends facts that are all new, which nearly every batch of facts is: each gets the sequence behind the last event of its
-- stream. Returns false, and appends none, if one of them is on record or would be beyond `stream_events` events of its stream;
-- then `append_facts` finds out which.
--
-- Values that many facts share come once, and for each fact the number of its value, from 1: an argument per fact and column costs
-- more than all look-ups. All ids are looked up by one scan of their index. `ordinals` are the numbers of the facts within
-- their streams, of which each has `stream_counts` facts here. Positions are assigned in the order of the facts.
create function append_new_facts(
    ids uuid[], payloads text[], streams text[], stream_counts bigint[], stream_numbers integer[], ordinals integer[],
    types text[], versions text[], type_numbers integer[], metadata_texts text[], metadata_numbers integer[], stream_events bigint
) returns boolean
language plpgsql volatile
set enable_seqscan = off
set enable_bitmapscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
    ends bigint[];
    metadata_values json[] := metadata_texts::json[];
begin
    perform from events e where (e.aggregate_type || '') = 'visit' and e.event_id = any (ids) limit 1;
    if found then
        return false;
    end if;
    ends := array(
        select coalesce(
            (
                select e.sequence from events e
                where e.aggregate_type = 'visit' and e.aggregate_id = s.stream
                order by e.sequence desc
                limit 1
            ), 0)
        from unnest(streams) with ordinality as s(stream, number)
        order by s.number
    );
    perform from unnest(ends, stream_counts) as s(last, added) where s.last + s.added > stream_events limit 1;
    if found then
        return false;
    end if;
    insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, event_id)
    select 'visit', streams[stream_numbers[f.number]], ends[stream_numbers[f.number]] + ordinals[f.number],
           types[type_numbers[f.number]], versions[type_numbers[f.number]], payloads[f.number]::json,
           metadata_values[metadata_numbers[f.number]], ids[f.number]
    from generate_series(1, cardinality(ids)) as f(number)
    order by f.number;
    return true;
end
$$;
