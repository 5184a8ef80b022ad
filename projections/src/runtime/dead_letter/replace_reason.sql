update parked_sequences
set fingerprint = $5, reason = $6
where projection = $1 and generation = $2 and aggregate_type = $3 and aggregate_id = $4
