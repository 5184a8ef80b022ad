update task_queue
set status = 'ended', worker = null, previous_worker = null, sequence = $3, changed_at = now()
where tenant_id = $1 and task_id = $2 and sequence < $3
