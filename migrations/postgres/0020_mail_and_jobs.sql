-- Jobs that run on a schedule (ADR 38): one row each, with the run in progress and the last one that ended. A runner
-- holds a run by a lease, compared with this server's clock.
create table scheduled_jobs (
    name            text        primary key,
    -- The schedule that `next_run_at` was computed from; another one computes it anew.
    schedule        text        not null,
    next_run_at     timestamptz not null,
    -- Grows with each run: a runner that has lost its lease changes nothing.
    run_number      bigint      not null default 0,
    -- The run in progress: when it started, until when its runner holds it, and the machine and process of the runner.
    running_since   timestamptz,
    leased_until    timestamptz,
    host            text        not null default '',
    -- The last run that ended.
    last_started_at timestamptz,
    last_ended_at   timestamptz,
    last_outcome    text check (last_outcome in ('succeeded', 'failed', 'timed_out', 'interrupted')),
    -- What it did, or why it failed.
    last_message    text        not null default ''
) with (fillfactor = 70);

-- Who receives mail at what hour: follows the preferences in the log, for the job that requests daily digests.
create table mail_recipients (
    tenant_id      text        not null,
    user_id        text        not null,
    time_zone      text        not null,
    -- Local hour of the daily digest.
    digest_hour    smallint    not null,
    -- When the next digest is due; null for users without one.
    next_digest_at timestamptz,
    -- Until when matches were covered by the last digest.
    digested_until timestamptz not null default now(),
    -- The sequence of the last event of the inbox that the row follows.
    sequence       bigint      not null,
    primary key (tenant_id, user_id)
) with (fillfactor = 70);
create index mail_recipients_by_digest on mail_recipients (next_digest_at) where next_digest_at is not null;

-- Mails that were requested and not yet sent or given up (ADR 38). What has become of each is in the log; this is what
-- the mailers claim from.
create table mail_queue (
    tenant_id       text        not null,
    user_id         text        not null,
    mail_id         uuid        not null,
    -- When it is sent next. A mailer that sends it moves this time first, so that no other does meanwhile.
    due_at          timestamptz not null default now(),
    -- The event that requested it.
    requested_by    uuid        not null,
    correlation_id  uuid        not null,
    requested_at    timestamptz not null,
    last_error      text        not null default '',
    primary key (tenant_id, user_id, mail_id)
) with (fillfactor = 70);
create index mail_queue_by_time on mail_queue (due_at);

-- For the job that removes instances of processes after their retention.
create index process_instances_ended on process_instances (waits_since) where status <> 'waiting';
