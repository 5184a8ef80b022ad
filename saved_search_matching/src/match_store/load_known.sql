select p.number
from unnest($1::text[], $2::text[], $3::uuid[], $4::text[]) with ordinality
    as p (tenant_id, user_id, search_id, opportunity_id, number)
join search_matches m using (tenant_id, user_id, search_id, opportunity_id)
