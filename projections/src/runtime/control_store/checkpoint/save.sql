insert into projection_checkpoints as saved (projection, generation, topic, partition, position, ordinal, next_offset)
select $1, $2, entry.topic, entry.partition, entry.position, entry.ordinal, entry.next_offset
from unnest($3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[])
    as entry (topic, partition, position, ordinal, next_offset)
on conflict (projection, generation, topic, partition) do update
set position = excluded.position,
    ordinal = excluded.ordinal,
    -- Events that were read from the log have no offset.
    next_offset = greatest(saved.next_offset, excluded.next_offset),
    updated_at = now()
where (excluded.position, excluded.next_offset) >= (saved.position, saved.next_offset)
