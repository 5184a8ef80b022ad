with numbered as (
    update shared_texts
    set seq = seq + cardinality($3::text[]), changed_at = now(), unsettled_since = coalesce(unsettled_since, now())
    where tenant_id = $1 and proposal_id = $2
    returning seq
), stored as (
    insert into shared_text_updates (tenant_id, proposal_id, seq, user_id, body)
    select $1, $2, numbered.seq - cardinality($3::text[]) + added.number, added.user_id, added.body
    from numbered, unnest($3::text[], $4::bytea[]) with ordinality as added (user_id, body, number)
)
select seq from numbered
