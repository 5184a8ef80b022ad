-- The pause doubles from $5 to $6 seconds.
update task_queue
set unreadable_because = $4, unreadable_count = unreadable_count + 1, worker = null, changed_at = now(),
    claimable_at = now() + make_interval(secs => least($5 * power(2, least(unreadable_count, 30)), $6))
where tenant_id = $1 and task_id = $2 and worker = $3 and status <> 'ended'
