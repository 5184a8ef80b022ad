-- A worker that has taken the task over, and has recorded the attempt before as failed, keeps its claim.
update task_queue
set status = 'requested', failures = $4, sequence = $3, changed_at = now(),
    worker = case when previous_worker is not null then worker end,
    claimable_at = case when previous_worker is not null then claimable_at else $5 end,
    previous_worker = null
where tenant_id = $1 and task_id = $2 and sequence < $3
