with due as (
    select c.id
    from process_commands c
    -- Of the processes that this release knows.
    where c.process = any($3) and c.due_at <= now()
      -- Commands of an instance are sent in their order.
      and not exists (
          select 1 from process_commands earlier
          where earlier.process = c.process and earlier.tenant_id = c.tenant_id
            and earlier.instance_id = c.instance_id and earlier.id < c.id)
    order by c.due_at, c.id
    limit $1
    for update skip locked
)
update process_commands c
set due_at = now() + make_interval(secs => $2), attempts = c.attempts + 1
from due
where c.id = due.id
returning c.id, c.process, c.tenant_id, c.instance_id, c.idempotency_key, c.command, c.correlation_id, c.causation_id,
          c.attempts
