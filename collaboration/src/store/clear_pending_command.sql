update shared_texts
set intent = null, intent_base = null
where tenant_id = $1 and proposal_id = $2
