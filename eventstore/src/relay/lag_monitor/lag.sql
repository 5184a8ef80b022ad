with checkpoint as materialized (
    select coalesce(max(position), 0) as position from relay_checkpoints
)
select
    (
        select count(*)
        from (select 1 from events, checkpoint where events.position > checkpoint.position limit 100000) behind
    ) as behind,
    coalesce(
        (
            select extract(epoch from clock_timestamp() - events.recorded_at)
            from events, checkpoint
            where events.position > checkpoint.position
            order by events.position
            limit 1
        ),
        0
    )::float8 as age_s
