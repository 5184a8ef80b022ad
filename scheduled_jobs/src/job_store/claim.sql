with free as (
    select name, running_since as abandoned
    from scheduled_jobs
    where name = $1
      and ($2 or next_run_at <= clock_timestamp())
      and (leased_until is null or leased_until <= clock_timestamp())
    for update
)
update scheduled_jobs job
set run_number = job.run_number + 1,
    running_since = clock_timestamp(),
    leased_until = clock_timestamp() + make_interval(secs => $3),
    host = $4
from free
where job.name = free.name
returning job.run_number, job.running_since, job.next_run_at, free.abandoned
