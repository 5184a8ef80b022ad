insert into process_commands
    (process, tenant_id, instance_id, idempotency_key, command, correlation_id, causation_id, traceparent, due_at)
select $1, c.tenant_id, c.instance_id, c.idempotency_key, c.command, c.correlation_id, c.causation_id, c.traceparent,
       -- Behind a command that keeps failing, until an operator resumes the instance.
       case when i.stalled then 'infinity' else now() end
from unnest($2::text[], $3::text[], $4::text[], $5::jsonb[], $6::uuid[], $7::uuid[], $8::text[]) with ordinality
    as c (tenant_id, instance_id, idempotency_key, command, correlation_id, causation_id, traceparent, number)
join process_instances i
    on i.process = $1 and i.tenant_id = c.tenant_id and i.instance_id = c.instance_id
order by c.number
