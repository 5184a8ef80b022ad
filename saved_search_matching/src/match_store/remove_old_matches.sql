delete from search_matches
where ctid in (select ctid from search_matches where matched_at < now() - make_interval(days => $1) limit $2)
