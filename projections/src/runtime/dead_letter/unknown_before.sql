-- Streams of this projection whose first event was unknown to the release that parked it, and is of a version that is known
-- now. The texts are those of `domain::upcast::UpcastError`; releases have had them since before streams were redriven by
-- themselves.
select parked.projection, parked.generation, parked.aggregate_type, parked.aggregate_id, parked.fingerprint, parked.reason,
    parked.parked_at, 0::bigint as letters, 0 as attempts
from parked_sequences as parked
cross join lateral (
    select event_type, event_version
    from dead_letters as letters
    where (letters.projection, letters.generation, letters.aggregate_type, letters.aggregate_id)
        = (parked.projection, parked.generation, parked.aggregate_type, parked.aggregate_id)
    order by position, id
    limit 1
) as first_letter
where parked.projection = $1
    and (parked.reason like '%unknown event type %' or parked.reason like '%unknown version %')
    and (first_letter.event_type, first_letter.event_version) in (select * from unnest($2::text[], $3::text[]))
order by parked.parked_at
limit $4
