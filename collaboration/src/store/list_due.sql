select tenant_id, proposal_id
from shared_texts
where unsettled_since is not null
  and (changed_at < now() - make_interval(secs => $1) or unsettled_since < now() - make_interval(secs => $2))
order by unsettled_since
limit $3
