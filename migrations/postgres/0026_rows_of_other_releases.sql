-- How often workers could not read the row of a task: the pause until it is offered again doubles each time.
alter table task_queue add column unreadable_count integer not null default 0;

-- Since when runners cannot read a command: one of another release is sent by a runner of that release, or stalls.
alter table process_commands add column unreadable_since timestamptz;

-- When a source was read for the first time: it is late also if no run was ever complete.
alter table sam_gov_syncs add column first_attempted_at timestamptz;
update sam_gov_syncs set first_attempted_at = attempted_at;
