        -- Without the tasks that tenants have requested for workers of their own. Generations take long: one of each
        -- tenant is claimed at a time, so that those of others need not wait for it. Claims of generations are made
        -- under a lock, so that each sees what the one before has claimed.
        where q.kind = wanted.kind and q.status <> 'ended' and not q.for_tenant and q.claimable_at <= now()
            and (q.kind <> 'generate_proposal' or not exists (
                select from task_queue running
                where running.tenant_id = q.tenant_id and running.kind = q.kind and running.status <> 'ended'
                    and running.worker is not null and running.claimable_at > now() and not running.for_tenant
            ))
