insert into mail_recipients as recipient
    (tenant_id, user_id, sequence, time_zone, digest_hour, next_digest_at, digested_until)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (tenant_id, user_id) do update
set sequence = $3, time_zone = $4, digest_hour = $5, next_digest_at = $6,
    -- Who receives digests again does not receive what was found meanwhile.
    digested_until = case when recipient.next_digest_at is null then $7 else recipient.digested_until end
where recipient.sequence < $3
