with wanted as (
    select * from unnest($1::text[], $2::text[], $3::text[])
        with ordinality as wanted (aggregate_type, aggregate_id, fingerprint, place)
), start as materialized (
    select wanted.*, snapshot.last_sequence, snapshot.payload
    from wanted left join lateral (
        select last_sequence, payload from snapshots
        where snapshots.aggregate_type = wanted.aggregate_type
          and snapshots.aggregate_id = wanted.aggregate_id
          and snapshots.fingerprint = wanted.fingerprint
          -- A snapshot of events that are not on record would leave a hole in the stream. Not `exists`: the planner
          -- makes a join of that which walks the whole stream.
          and (
              select true from events
              where events.aggregate_type = snapshots.aggregate_type
                and events.aggregate_id = snapshots.aggregate_id
                and events.sequence = snapshots.last_sequence
          )
        limit 1
    ) as snapshot on true
)
select place, last_sequence as sequence, null as event_type, null as event_version, payload::text, 0 as position
from start where last_sequence is not null
union all
select place, event.sequence, event.event_type, event.event_version, event.payload::text, event.position
from start cross join lateral (
    select sequence, event_type, event_version, payload, position from events
    where events.aggregate_type = start.aggregate_type
      and events.aggregate_id = start.aggregate_id
      and events.sequence > coalesce(start.last_sequence, 0)
    order by sequence
) as event
order by place, sequence
