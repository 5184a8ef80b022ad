select q.tenant_id, q.task_id, q.kind, q.status, q.failures, q.worker, q.changed_at,
       nullif(q.claimable_at, 'infinity') as claimable_at
from task_queue q
join unnest($1::text[], $2::text[]) as wanted (tenant_id, task_id) using (tenant_id, task_id)
order by q.tenant_id, q.task_id
