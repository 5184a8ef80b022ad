select base_seq as seq, null::text as user_id, base as body
from shared_texts
where tenant_id = $1 and proposal_id = $2 and base_seq > $3 and base is not null
union all
select seq, user_id, body
from shared_text_updates
where tenant_id = $1 and proposal_id = $2 and seq > $3
order by seq
