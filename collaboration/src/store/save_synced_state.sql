with dropped as (
    delete from shared_text_updates where tenant_id = $1 and proposal_id = $2 and seq <= $3
)
update shared_texts
set base_seq = $3, base = $4, texts = $5, intent = null, intent_base = null,
    unsettled_since = case when seq = $3 then null else unsettled_since end
where tenant_id = $1 and proposal_id = $2
