        -- Without the tasks of generations, which the product does.
        where q.tenant_id = $4 and q.kind = wanted.kind and q.status <> 'ended' and q.claimable_at <= now()
            and (q.kind <> 'generate_proposal' or q.for_tenant)
