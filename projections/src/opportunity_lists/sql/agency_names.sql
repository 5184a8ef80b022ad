select code, newest.agency_name as name
from unnest($1::text[]) as code
cross join lateral (
    select agency_name
    from {schema}.opportunities
    where agency_code = code
    order by posted_rank, id
    limit 1
) as newest
