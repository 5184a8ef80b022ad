select
    id, state, started_by, error,
    exists (
        select from leases where name = $1 and holder is not null and expires_at > clock_timestamp()
    ) as is_lease_held
from projection_rebuilds
order by id desc
limit 1
