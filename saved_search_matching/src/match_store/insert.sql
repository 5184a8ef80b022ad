insert into search_matches
    (tenant_id, user_id, search_id, opportunity_id, search_name, title, agency_name, frequency, event_id)
select * from unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                     $9::uuid[])
    as n (tenant_id, user_id, search_id, opportunity_id, search_name, title, agency_name, frequency, event_id)
order by 1, 2, 3, 4
on conflict do nothing
returning tenant_id, user_id, search_id, opportunity_id
