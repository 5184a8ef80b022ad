insert into sam_gov_api_usage as usage (day, throttled_until) values ($1, $2)
on conflict (day) do update set throttled_until = greatest(usage.throttled_until, $2)
