select tenant_id, task_id, kind, unreadable_because, claimable_at
from task_queue
where unreadable_because is not null and status <> 'ended'
order by changed_at
limit $1
