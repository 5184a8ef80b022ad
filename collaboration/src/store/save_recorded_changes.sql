with numbered as (
    update shared_texts
    set seq = seq + 1, base = $4, texts = $5
    where tenant_id = $1 and proposal_id = $2
    returning seq
)
insert into shared_text_updates (tenant_id, proposal_id, seq, body)
select $1, $2, seq, $3 from numbered
