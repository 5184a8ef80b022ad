with ended as (
    select process, tenant_id, instance_id
    from process_instances instance
    where status <> 'waiting' and not stalled
      and waits_since < now() - make_interval(days => $1)
      and not exists (
          select from process_commands command
          where command.process = instance.process and command.tenant_id = instance.tenant_id
            and command.instance_id = instance.instance_id
      )
    order by waits_since
    limit $2
    for update skip locked
)
delete from process_instances instance
using ended
where instance.process = ended.process and instance.tenant_id = ended.tenant_id
  and instance.instance_id = ended.instance_id
