select coalesce(sum(length(body)), 0)::bigint
from shared_text_updates
where tenant_id = $1 and proposal_id = $2
