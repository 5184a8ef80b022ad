update task_queue
set claimable_at = now() + make_interval(secs => $4)
where tenant_id = $1 and task_id = $2 and status <> 'ended' and worker = $3
