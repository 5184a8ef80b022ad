-- A command whose client gave it a key is found by it. Events without a key are not in the index.
create index events_by_idempotency_key on events (tenant_id, (metadata ->> 'idempotency_key'))
    where metadata ->> 'idempotency_key' is not null;
