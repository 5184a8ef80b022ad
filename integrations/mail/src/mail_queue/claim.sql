update mail_queue
set due_at = clock_timestamp() + make_interval(secs => $1)
where (tenant_id, user_id, mail_id) = (
    select tenant_id, user_id, mail_id
    from mail_queue
    where due_at <= clock_timestamp()
    order by due_at
    limit 1
    for update skip locked
)
returning tenant_id, user_id, mail_id, requested_by, correlation_id, requested_at, traceparent
