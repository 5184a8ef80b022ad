select exists (
    select from events
    where aggregate_type = 'document' and aggregate_id = $1 and event_type = 'document.deleted'
)
