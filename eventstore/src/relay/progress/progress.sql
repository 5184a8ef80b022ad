with checkpoint as materialized (
    select coalesce(max(position), 0) as position from relay_checkpoints
), fence as materialized (
    select log_completed_prefix() as position
), lately as materialized (
    select state, last_error, seen_at from relay_instances where seen_at > now() - make_interval(secs => $2)
)
select
    exists (
        select from leases where name = $1 and holder is not null and expires_at > clock_timestamp()
    ) as leads,
    checkpoint.position,
    fence.position,
    (
        select count(*)
        from (select 1 from events where position > checkpoint.position and position <= fence.position limit 1000000) behind
    ) as behind,
    (select count(*) from lately) as relays,
    (
        select last_error from lately
        where last_error is not null
        order by state = 'leading' desc, seen_at desc
        limit 1
    ) as last_error
from checkpoint, fence
