-- The condition on event types is that of the partial index `events_of_saved_searches`.
select position, event_id, tenant_id, aggregate_type, aggregate_id, sequence, event_type, event_version, recorded_at,
       payload::text as payload
from events
where position > $1 and position <= $2
  and event_type in ('watchlist.search_saved', 'watchlist.search_removed', 'company.registered',
                     'company.member_added', 'company.member_removed', 'company.closed')
order by position
limit $3
