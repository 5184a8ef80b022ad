-- The span that a timer of a process and a mail belong to (ADR 66), as commands and tasks have it: `traceparent` of the event because
-- of which the timer was set, or that requested the mail; empty without a sampled trace, and in rows of earlier releases. While two
-- releases run, the earlier one sets a timer again without changing its trace.

-- Timers and mails wait for whoever waits for the tables: a long reader of one must not stop both.
set local lock_timeout = '5s';
alter table process_timers add column traceparent text not null default '';
alter table mail_queue add column traceparent text not null default '';
