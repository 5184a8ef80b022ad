select
    kind,
    count(*) filter (where claimable_at <= now()) as waiting,
    count(*) filter (where claimable_at > now() and worker is not null) as claimed,
    count(*) filter (where claimable_at > now() and worker is null) as delayed,
    coalesce(extract(epoch from now() - min(claimable_at) filter (where claimable_at <= now())), 0)::float8 as oldest_s
from task_queue
where status <> 'ended' and not for_tenant
group by kind
