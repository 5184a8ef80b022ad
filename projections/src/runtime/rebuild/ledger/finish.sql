update projection_rebuilds
set state = $2, error = $3, finished_at = case when $2 = 'running' then null else now() end
where id = $1
