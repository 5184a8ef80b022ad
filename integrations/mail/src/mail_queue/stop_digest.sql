update mail_recipients
set sequence = $3, next_digest_at = null
where tenant_id = $1 and user_id = $2 and sequence < $3
