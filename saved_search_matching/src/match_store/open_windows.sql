select instance_id
from process_instances
where process = $1 and tenant_id = $2 and (status = 'waiting' or stalled)
  and ($3::text is null or starts_with(instance_id, $3))
  and ($4::text is null or state #>> '{search,user}' = $4)
  and started_at <= $5
