-- Follows select_instances.sql.
from process_instances i
where ($1::text is null or i.process = $1) and ($2::text is null or i.tenant_id = $2)
  and case when i.stalled then 'stalled' else i.status end = any($3)
order by i.waits_since
limit $4
