delete from process_instances i
using unnest($2::text[], $3::text[]) as c (tenant_id, instance_id)
where i.process = $1 and i.tenant_id = c.tenant_id and i.instance_id = c.instance_id
