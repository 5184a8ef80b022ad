-- The range is what ids of the search or the user begin with. A user id may contain the separator of ids, so the state
-- is compared too. The condition on the status is that of the partial index `process_instances_open_by_id`.
select instance_id
from process_instances
where process = $1 and tenant_id = $2 and (status = 'waiting' or stalled)
  and instance_id collate "C" >= $3 and instance_id collate "C" < $4
  and ($5::text is null or state #>> '{search,user}' = $5)
  and started_at <= $6
