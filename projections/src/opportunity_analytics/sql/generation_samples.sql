select
    tenant_id, variants[?] as variant, count() as generations, countIf(outcome = 'completed') as completed,
    countIf(outcome = 'failed') as failed, sumIf(p.generated_sections + p.failed_sections, has_result) as sections,
    sumIf(p.failed_sections, has_result) as failed_sections, countIf(outcome = 'completed' and rating != '') as rated,
    countIf(outcome = 'completed' and rating = 'helpful') as helpful, sumIf(p.cost_micros, has_result) as cost_micros,
    sumIf(p.latency_ms, outcome = 'completed') as latency_ms
from (
    select *, outcome in ('completed', 'failed') as has_result
    from proposal_generations
    where toUnixTimestamp64Micro(requested_at) >= ? and toUnixTimestamp64Micro(requested_at) < ?
) as p
where variant != ''
group by tenant_id, variant
order by tenant_id, variant
