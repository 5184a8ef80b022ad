with announced as (
    update search_matches
    set notified_at = now()
    where tenant_id = $1 and user_id = $2 and frequency = 'daily' and notified_at is null
      and matched_at > $3 and matched_at <= $4
)
update search_match_overflows
set notified_at = now()
where tenant_id = $1 and user_id = $2 and frequency = 'daily' and notified_at is null
  and hour > $3 - interval '1 hour' and hour <= $4 - interval '1 hour'
