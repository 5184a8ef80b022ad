select tenant_id, user_id, time_zone, digest_hour, next_digest_at, digested_until
from mail_recipients
where next_digest_at <= $1
  and ($2::timestamptz is null or (next_digest_at, tenant_id, user_id) > ($2, $3, $4))
order by next_digest_at, tenant_id, user_id
limit $5
