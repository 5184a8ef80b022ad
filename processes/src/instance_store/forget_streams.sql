delete from process_streams s
using unnest($2::text[], $3::text[]) as c (tenant_id, instance_id)
where s.process = $1 and s.tenant_id = c.tenant_id and s.instance_id = c.instance_id
