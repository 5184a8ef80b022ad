with recursive tenants as (
    -- Tenants with due commands of the processes that this release knows.
    (select c.tenant_id, 1::bigint as number
     from process_commands c
     where c.tenant_id > $4 and c.due_at <= now() and c.process = any($3)
     order by c.tenant_id
     limit 1)
    union all
    select following.tenant_id, tenants.number + 1
    from tenants
    cross join lateral (
        select c.tenant_id
        from process_commands c
        where c.tenant_id > tenants.tenant_id and c.due_at <= now() and c.process = any($3)
        order by c.tenant_id
        limit 1
    ) following
    where tenants.number < $1
), due as (
    select found.id
    from tenants
    cross join lateral (
        select c.id
        from process_commands c
        where c.tenant_id = tenants.tenant_id and c.process = any($3) and c.due_at <= now()
          -- Commands of an instance are sent in their order.
          and not exists (
              select 1 from process_commands earlier
              where earlier.process = c.process and earlier.tenant_id = c.tenant_id
                and earlier.instance_id = c.instance_id and earlier.id < c.id)
        order by c.due_at, c.id
        -- Some of each tenant, also with many: commands to one stream are sent together.
        limit greatest($5, $1 / (select max(number) from tenants))
        for update skip locked
    ) found
), claimed as (
    update process_commands c
    set due_at = now() + make_interval(secs => $2), attempts = c.attempts + 1
    where c.id = any(array(select id from due))
    returning c.id, c.process, c.tenant_id, c.instance_id, c.idempotency_key, c.command::text as command,
              c.correlation_id, c.causation_id, c.traceparent, c.attempts,
              coalesce(extract(epoch from now() - c.unreadable_since), 0)::float8 as unreadable_s
)
-- One row without a command if none was claimed: it names the last tenant that was looked at.
select (select count(*) from tenants) as tenant_count, (select tenant_id from tenants order by number desc limit 1) as last_tenant,
       claimed.*
-- A claim that a crash of Postgres undoes is made again, and no command has a second effect: nobody waits until it is durable.
from (select set_config('synchronous_commit', 'off', true)) as relaxed (setting)
left join claimed on true
