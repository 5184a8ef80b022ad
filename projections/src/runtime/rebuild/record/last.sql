select
    id, state, started_by, error,
    exists (
        select from pg_locks
        where locktype = 'advisory' and classid = $1::oid and objid = 0 and objsubid = 2 and granted
          and database = (select oid from pg_database where datname = current_database())
    ) as at_work
from projection_rebuilds
order by id desc
limit 1
