select i.process, i.tenant_id, i.instance_id, i.status, i.stalled, i.waits_for, i.waits_since, i.started_at, i.note,
       i.state::text as state,
       (select min(t.due_at) from process_timers t
        where t.process = i.process and t.tenant_id = i.tenant_id and t.instance_id = i.instance_id) as next_timer_at,
       (select count(*) from process_commands c
        where c.process = i.process and c.tenant_id = i.tenant_id and c.instance_id = i.instance_id)
           as pending_commands,
       coalesce((select c.last_error from process_commands c
        where c.process = i.process and c.tenant_id = i.tenant_id and c.instance_id = i.instance_id
        order by c.id limit 1), '') as last_error
