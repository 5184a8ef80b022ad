        order by q.claimable_at
        limit 1
        for update skip locked
    ) found
    order by found.claimable_at
    limit 1
)
update task_queue q
set previous_worker = case when next.status = 'started' then coalesce(next.previous_worker, next.worker) end,
    worker = $2, claimable_at = now() + make_interval(secs => $3), unreadable_because = null
from next
where q.tenant_id = next.tenant_id and q.task_id = next.task_id
returning q.tenant_id, q.task_id, q.job::text as job, q.failures, q.sequence, q.previous_worker, q.correlation_id, q.requested_by,
    q.traceparent
