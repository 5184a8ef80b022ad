select c.process, c.tenant_id, c.instance_id, coalesce(c.command ->> 'type', '') as command, c.causation_id, c.attempts,
       nullif(c.due_at, 'infinity') as due_at, c.last_error
from process_commands c
where c.correlation_id = $1 and ($2::text is null or c.tenant_id = $2)
order by c.id
limit $3
