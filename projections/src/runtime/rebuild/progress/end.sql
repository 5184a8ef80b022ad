update projection_rebuilds
set state = 'failed', error = $2, finished_at = now()
where id = $1 and state = 'running'
returning id
