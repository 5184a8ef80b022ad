-- One look at the index for each kind, as in claim_candidates.sql, whatever the statistics say.
select exists (
    select from unnest($1::text[]) as wanted (kind)
    cross join lateral (
        select from task_queue q
        where q.kind = wanted.kind and q.status <> 'ended' and not q.for_tenant and q.claimable_at <= now()
        order by q.claimable_at
        limit 1
    ) found
)
