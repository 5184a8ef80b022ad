-- A timer without a name stands for all timers of the instance.
delete from process_timers t
using unnest($2::text[], $3::text[], $4::text[]) as c (tenant_id, instance_id, name)
where t.process = $1 and t.tenant_id = c.tenant_id and t.instance_id = c.instance_id
  and (c.name is null or t.name = c.name)
