insert into mail_queue (tenant_id, user_id, mail_id, requested_by, correlation_id, requested_at, traceparent)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (tenant_id, user_id, mail_id) do nothing
