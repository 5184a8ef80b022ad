insert into process_instances (process, tenant_id, instance_id, status, state, correlation_id)
select $1, n.tenant_id, n.instance_id, 'waiting', 'null'::jsonb, n.correlation_id
from unnest($2::text[], $3::text[], $4::uuid[]) as n (tenant_id, instance_id, correlation_id)
order by 2, 3
on conflict do nothing
