-- Which of these keys these documents still refer to.
select distinct referenced.key
from events e
cross join lateral (
    values (e.payload -> 'upload' ->> 'object_key'), (e.payload -> 'text' ->> 'text_key')
) as referenced (key)
where e.aggregate_type = 'document' and e.aggregate_id = any($1) and referenced.key = any($2)
  and not exists (
    select from events d
    where d.aggregate_type = 'document' and d.aggregate_id = e.aggregate_id and d.event_type = 'document.deleted'
  )
