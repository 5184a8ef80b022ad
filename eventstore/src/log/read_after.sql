-- At least one event, and no more of them than have `$4` bytes before the last one.
select position, event_id, tenant_id, aggregate_type, aggregate_id, sequence, event_type, event_version, recorded_at,
       metadata, payload
from (
    select position, event_id, tenant_id, aggregate_type, aggregate_id, sequence, event_type, event_version, recorded_at,
           metadata::text as metadata, payload::text as payload,
           sum(octet_length(payload::text)) over (order by position) - octet_length(payload::text) as bytes_before
    from events
    where position > $1 and position <= $2
    order by position
    limit $3
) page
where bytes_before < $4
order by position
