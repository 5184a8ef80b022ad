insert into projection_checkpoints as kept (projection, generation, topic, partition, position, ordinal, next_offset)
select $1, $2, mark.topic, mark.partition, mark.position, mark.ordinal, mark.next_offset
from unnest($3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[])
    as mark (topic, partition, position, ordinal, next_offset)
on conflict (projection, generation, topic, partition) do update
set position = excluded.position,
    ordinal = excluded.ordinal,
    next_offset = excluded.next_offset,
    updated_at = now()
where (excluded.position, excluded.next_offset) >= (kept.position, kept.next_offset)
