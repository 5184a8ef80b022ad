-- Which of these keys any document still refers to: keys of files of older releases, not bound to a document.
select distinct referenced.key
from events e
cross join lateral (
    values (e.payload -> 'upload' ->> 'object_key'), (e.payload -> 'text' ->> 'text_key')
) as referenced (key)
where e.aggregate_type = 'document' and referenced.key = any($1)
  and not exists (
    select from events d
    where d.aggregate_type = 'document' and d.aggregate_id = e.aggregate_id and d.event_type = 'document.deleted'
  )
