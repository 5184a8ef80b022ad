update task_queue set sequence = $3, changed_at = now()
where tenant_id = $1 and task_id = $2 and sequence < $3
