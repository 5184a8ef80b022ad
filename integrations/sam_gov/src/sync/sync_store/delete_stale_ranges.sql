with stale as (
    delete from sam_gov_syncs
    where name like 'api:%' and name <> $1 and attempted_at < now() - make_interval(days => $2)
    returning name
)
delete from sam_gov_window_notices
where sync_name in (select name from stale)
