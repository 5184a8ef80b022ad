insert into parked_sequences (projection, generation, aggregate_type, aggregate_id, fingerprint, reason)
values ($1, $2, $3, $4, $5, $6)
on conflict do nothing
