insert into dead_letters (
    projection, generation, aggregate_type, aggregate_id, sequence, position, event_id, event_type, event_version,
    recorded_at, headers, value, last_reason
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
on conflict (projection, generation, aggregate_type, aggregate_id, event_id) do nothing
