select i.tenant_id, i.instance_id, i.status, i.stalled, i.state::text as state, i.waits_for, i.handled, i.version, i.note,
       i.correlation_id
from process_instances i
where i.process = $1 and (i.tenant_id, i.instance_id) in (select * from unnest($2::text[], $3::text[]))
order by i.tenant_id, i.instance_id
for update
