select projection, generation, host, state, partitions, applied, lag_s, last_error
from projection_workers
where seen_at > now() - make_interval(secs => $1)
order by projection, generation, seen_at
