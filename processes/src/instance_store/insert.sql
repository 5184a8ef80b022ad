insert into process_instances (process, tenant_id, instance_id, status, state)
select $1, n.tenant_id, n.instance_id, 'waiting', 'null'::jsonb
from unnest($2::text[], $3::text[]) as n (tenant_id, instance_id)
order by 2, 3
on conflict do nothing
