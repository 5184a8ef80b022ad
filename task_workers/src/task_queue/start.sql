-- A current claim keeps its lease even if a worker with an earlier claim starts the task. A task started without a claim
-- has no lease and is never offered again.
update task_queue
set claimable_at = case when worker is null then 'infinity' else claimable_at end,
    worker = $4, previous_worker = null, status = 'started', sequence = $3, changed_at = now()
where tenant_id = $1 and task_id = $2 and sequence < $3
