select exists (
    select from pg_locks
    where locktype = 'advisory' and granted and pid = $1 and objsubid = 1
      and classid::bigint = $2::bigint >> 32 and objid::bigint = $2::bigint & 4294967295
      and database = (select oid from pg_database where datname = current_database())
)
