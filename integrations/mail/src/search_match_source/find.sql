select opportunity_id, title, search_name
from search_matches
where tenant_id = $1 and user_id = $2 and frequency = 'daily' and notified_at is null
  and matched_at > $3 and matched_at <= $4
order by matched_at desc, search_name, opportunity_id
limit $5
