insert into search_match_overflows as o
    (tenant_id, user_id, search_id, search_name, frequency, opportunities, hour)
select tenant_id, user_id, search_id, search_name, frequency, opportunities, $7
from unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::bigint[])
    as n (tenant_id, user_id, search_id, search_name, frequency, opportunities)
order by 1, 2, 3
on conflict (tenant_id, user_id, search_id, hour, frequency) do update
set opportunities = o.opportunities + excluded.opportunities
