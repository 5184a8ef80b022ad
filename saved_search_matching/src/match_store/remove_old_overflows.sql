delete from search_match_overflows
where ctid in (select ctid from search_match_overflows where hour < now() - make_interval(days => $1) limit $2)
