select (select count(*) from process_commands)::float8 as pending_commands,
       coalesce((select extract(epoch from now() - min(due_at)) from process_commands where due_at <= now()), 0)::float8
           as oldest_command_s,
       (select count(*) from process_instances where stalled)::float8 as stalled_instances
