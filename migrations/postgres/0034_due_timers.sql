-- Which processes have due timers is looked up for each process, whatever others have waiting.
create index process_timers_due on process_timers (process, due_at);
