with deleted as (delete from sam_gov_api_usage where day < $1::date - $3::integer)
insert into sam_gov_api_usage as usage (day, requests) values ($1, 1)
on conflict (day) do update set requests = usage.requests + 1 where usage.requests < $2
returning requests
