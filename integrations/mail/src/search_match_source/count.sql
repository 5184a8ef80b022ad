select (
    select count(*)
    from search_matches
    where tenant_id = $1 and user_id = $2 and frequency = 'daily' and notified_at is null
      and matched_at > $3 and matched_at <= $4
) + (
    -- The hour in progress may still grow, and is counted in the next digest.
    select coalesce(sum(opportunities), 0)::bigint
    from search_match_overflows
    where tenant_id = $1 and user_id = $2 and frequency = 'daily' and notified_at is null
      and hour > $3 - interval '1 hour' and hour <= $4 - interval '1 hour'
)
