delete from search_match_overflows
where ctid in (
    select ctid from search_match_overflows
    where tenant_id = $1 and ($2::text is null or user_id = $2) and ($3::uuid is null or search_id = $3)
      and hour <= $4
    limit $5)
