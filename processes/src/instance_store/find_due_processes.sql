-- One look at the index for each process, however many timers wait: `exists` may be planned as a scan of all timers.
select known.process
from unnest($1::text[]) as known (process)
cross join lateral (
    select from process_timers t
    where t.process = known.process and t.due_at <= now()
    order by t.due_at
    limit 1
) due
