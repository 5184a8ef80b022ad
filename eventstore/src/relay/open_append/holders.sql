-- The open appends that keep the completed prefix below the end of the log, with their clients. A prepared
-- transaction has no process: it is found by the lock on its own id, which has the same virtual transaction.
with held as (
    select pid, virtualtransaction, ((classid::bigint & 65535) << 32) | objid::bigint as position
    from pg_locks
    where locktype = 'advisory' and objsubid = 1 and granted
      and database = (select oid from pg_database where datname = current_database())
      and classid::bigint >> 16 = 19784
), prepared as (
    select own.virtualtransaction, min(xact.gid) as gid, min(xact.owner::text) as owner, min(xact.prepared) as prepared
    from pg_locks own
    join pg_prepared_xacts xact on xact.transaction = own.transactionid and xact.database = current_database()
    where own.locktype = 'transactionid' and own.pid is null
    group by own.virtualtransaction
)
select coalesce(held.pid, 0) as pid,
       coalesce(activity.application_name, '') as application,
       coalesce(activity.usename::text, prepared.owner, '') as login,
       coalesce(activity.state, 'prepared') as state,
       extract(epoch from clock_timestamp() - coalesce(activity.xact_start, prepared.prepared))::float8 as age_s,
       coalesce(left(regexp_replace(activity.query, '\s+', ' ', 'g'), 200), '') as query,
       prepared.gid as prepared_as,
       held.position
from held
left join pg_stat_activity activity on activity.pid = held.pid
left join prepared on held.pid is null and prepared.virtualtransaction = held.virtualtransaction
where held.position < pg_sequence_last_value('events_position_seq')
order by held.position
limit 20
