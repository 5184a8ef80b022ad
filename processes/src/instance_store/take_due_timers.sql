delete from process_timers t
using unnest($2::text[], $3::text[]) as c (tenant_id, instance_id)
where t.process = $1 and t.tenant_id = c.tenant_id and t.instance_id = c.instance_id and t.due_at <= now()
returning t.tenant_id, t.instance_id, t.name, t.set_by_version, t.correlation_id, t.causation_id, t.traceparent,
    t.due_at
