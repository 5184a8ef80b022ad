-- Tasks that wait for a worker or are worked on, for workers to claim (ADR 34). Follows the events of tasks; what a task
-- has come to is in the log.
create table task_queue (
    tenant_id       text        not null,
    task_id         text        not null,
    kind            text        not null,
    -- The task as it was requested: subject and parameters.
    job             jsonb       not null,
    status          text        not null check (status in ('requested', 'started', 'ended')),
    -- The sequence of the last event that the row follows.
    sequence        bigint      not null,
    -- Attempts that have failed.
    failures        integer     not null default 0,
    -- From when on it may be claimed: at once, after the pause that follows a failed attempt, or when the lease of the
    -- current claim ends. Never for a task that a worker has started without a claim.
    claimable_at    timestamptz not null,
    -- Who has claimed the task, or has started it without a claim.
    worker          text,
    -- Who had started the task before the current claim. This attempt has to be recorded as failed before the next one
    -- starts; the name stays here until the log says so, also if the claim ends before that.
    previous_worker text,
    correlation_id  uuid        not null,
    requested_by    uuid        not null,
    changed_at      timestamptz not null default now(),
    primary key (tenant_id, task_id)
) with (fillfactor = 70);
create index task_queue_by_kind on task_queue (kind, claimable_at) where status <> 'ended';
create index task_queue_by_tenant on task_queue (tenant_id, kind, claimable_at) where status <> 'ended';
create index task_queue_ended on task_queue (changed_at) where status = 'ended';
