-- Which of these documents' files they still refer to.
select distinct held.key
from events e
cross join lateral (values (e.payload -> 'upload' ->> 'object_key'), (e.payload -> 'text' ->> 'text_key')) as held (key)
where e.aggregate_type = 'document' and e.aggregate_id = any($1) and held.key = any($2)
  and not exists (
    select from events d
    where d.aggregate_type = 'document' and d.aggregate_id = e.aggregate_id and d.event_type = 'document.deleted'
  )
