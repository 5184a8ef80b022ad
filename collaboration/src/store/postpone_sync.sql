update shared_texts
set unsettled_since = null
where tenant_id = $1 and proposal_id = $2
