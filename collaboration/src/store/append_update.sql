with numbered as (
    update shared_texts
    set seq = seq + 1, changed_at = now(), unsettled_since = coalesce(unsettled_since, now())
    where tenant_id = $1 and proposal_id = $2
    returning seq
)
insert into shared_text_updates (tenant_id, proposal_id, seq, user_id, body)
select $1, $2, seq, $3, $4 from numbered
returning seq
