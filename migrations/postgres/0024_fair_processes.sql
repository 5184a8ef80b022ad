-- Commands of processes are claimed in turns of the tenants, so that many commands of one do not delay those of others.
create index process_commands_by_tenant on process_commands (tenant_id, due_at, id);

-- Why the last worker that claimed the task could not read its row; the row is offered again after a long pause.
alter table task_queue add column unreadable_because text;
create index task_queue_unreadable on task_queue (changed_at) where unreadable_because is not null;
