-- The span that a command of a process and a task belong to (ADR 58): `traceparent` of the event that caused them; empty without a
-- sampled trace, and in rows of earlier releases.
alter table process_commands add column traceparent text not null default '';
alter table task_queue add column traceparent text not null default '';
