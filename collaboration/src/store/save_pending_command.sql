update shared_texts
set intent = $3, intent_base = $4
where tenant_id = $1 and proposal_id = $2
