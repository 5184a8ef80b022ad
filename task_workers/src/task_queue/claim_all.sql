-- One look at the index for each kind, however many tasks wait. Without the tasks that tenants have requested for workers
-- of their own. Generations take long: one of each tenant is claimed at a time, so that those of others need not wait
-- for it. Claims of generations are made under a lock, so that each sees what the one before has claimed.
with next as (
    select found.*
    from unnest($1::text[]) as wanted (kind)
    cross join lateral (
        select q.tenant_id, q.task_id, q.status, q.worker, q.previous_worker, q.claimable_at
        from task_queue q
        where q.kind = wanted.kind and q.status <> 'ended' and not q.for_tenant and q.claimable_at <= now()
            and (q.kind <> 'generate_proposal' or not exists (
                select from task_queue running
                where running.tenant_id = q.tenant_id and running.kind = q.kind and running.status <> 'ended'
                    and running.worker is not null and running.claimable_at > now() and not running.for_tenant
            ))
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
returning q.tenant_id, q.task_id, q.job::text as job, q.failures, q.sequence, q.previous_worker, q.correlation_id, q.requested_by
