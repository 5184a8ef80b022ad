-- Begins a claim: one look at the index for each kind, however many tasks wait. A condition follows, then claim_oldest.sql.
with next as (
    select found.*
    from unnest($1::text[]) as wanted (kind)
    cross join lateral (
        select q.tenant_id, q.task_id, q.status, q.worker, q.previous_worker, q.claimable_at
        from task_queue q
