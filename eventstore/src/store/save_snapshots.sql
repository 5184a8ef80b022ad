insert into snapshots (aggregate_type, aggregate_id, fingerprint, last_sequence, payload)
select distinct on (aggregate_type, aggregate_id) aggregate_type, aggregate_id, fingerprint, last_sequence, payload::json
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[])
    as new (aggregate_type, aggregate_id, fingerprint, last_sequence, payload)
order by aggregate_type, aggregate_id, last_sequence desc
on conflict (aggregate_type, aggregate_id) do update
set fingerprint   = excluded.fingerprint,
    last_sequence = excluded.last_sequence,
    payload       = excluded.payload,
    written_at    = now()
where snapshots.fingerprint <> excluded.fingerprint or snapshots.last_sequence <= excluded.last_sequence
