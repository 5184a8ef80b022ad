-- Which of these files any document still refers to: files of older releases, not bound to a document.
select distinct held.key
from events e
cross join lateral (values (e.payload -> 'upload' ->> 'object_key'), (e.payload -> 'text' ->> 'text_key')) as held (key)
where e.aggregate_type = 'document' and held.key = any($1)
  and not exists (
    select from events d
    where d.aggregate_type = 'document' and d.aggregate_id = e.aggregate_id and d.event_type = 'document.deleted'
  )
