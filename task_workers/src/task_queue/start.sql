-- A claim keeps its lease, also if a worker with an earlier claim has started the task. Without a claim there is none.
update task_queue
set claimable_at = case when worker is null then 'infinity' else claimable_at end,
    worker = $4, previous_worker = null, status = 'started', sequence = $3, changed_at = now()
where tenant_id = $1 and task_id = $2 and sequence < $3
