with checkpoint as materialized (
    select coalesce(max(position), 0) as position from relay_checkpoints
), fence as materialized (
    select log_completed_prefix() as position
)
select
    exists (
        select from pg_locks
        where locktype = 'advisory' and granted and objsubid = 1
          and classid::bigint = $1::bigint >> 32 and objid::bigint = $1::bigint & 4294967295
          and database = (select oid from pg_database where datname = current_database())
    ) as leads,
    checkpoint.position,
    fence.position,
    (
        select count(*)
        from (select 1 from events where position > checkpoint.position and position <= fence.position limit 1000000) behind
    ) as behind
from checkpoint, fence
