-- Follows select_instances.sql: the instances that events of a request started, and those with a pending command of it.
from (
    select process, tenant_id, instance_id from process_instances where correlation_id = $1
    union
    select process, tenant_id, instance_id from process_commands where correlation_id = $1
) found
join process_instances i using (process, tenant_id, instance_id)
where $2::text is null or i.tenant_id = $2
order by i.started_at
limit $3
