insert into task_queue (tenant_id, task_id, sequence, kind, job, claimable_at, correlation_id, requested_by, traceparent, status)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'requested')
on conflict (tenant_id, task_id) do nothing
