select tenant_id, variant, count() as visits, countIf(has_click) as clicked
from (
    select
        tenant_id, aggregate_id, extractURLParameter(if(kind = 'view', page_url, target_url), 'ranking') as variant,
        countIf(kind = 'view' and opportunity_id = '') > 0 as has_results,
        countIf(kind = 'click' and opportunity_id != '') > 0 as has_click
    from engagement final
    where
        kind in ('view', 'click') and tenant_id != ? and recorded_at >= fromUnixTimestamp64Micro(toInt64(?), 'UTC')
        and toUnixTimestamp64Micro(recorded_at) < ?
    group by tenant_id, aggregate_id, variant
)
where has_results and variant != ''
group by tenant_id, variant
order by tenant_id, variant
