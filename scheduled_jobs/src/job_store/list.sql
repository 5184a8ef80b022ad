select name, schedule, next_run_at, host, last_started_at, last_ended_at, last_outcome, last_message,
       case when leased_until > clock_timestamp() then running_since end as running_since
from scheduled_jobs
order by name
