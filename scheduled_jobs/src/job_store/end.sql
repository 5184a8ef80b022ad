update scheduled_jobs
set last_started_at = running_since,
    last_ended_at = clock_timestamp(),
    last_outcome = $3,
    last_message = $4,
    next_run_at = coalesce($5, next_run_at),
    running_since = null,
    leased_until = null
where name = $1 and run_number = $2 and running_since is not null
