update search_matches m
set notified_at = now()
from unnest($1::text[], $2::text[], $3::uuid[], $4::text[]) as a (tenant_id, user_id, search_id, opportunity_id)
where m.tenant_id = a.tenant_id and m.user_id = a.user_id and m.search_id = a.search_id
  and m.opportunity_id = a.opportunity_id
