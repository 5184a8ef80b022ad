insert into process_timers as t (process, tenant_id, instance_id, name, due_at, set_by_version, correlation_id,
                                 causation_id, traceparent)
select $1, s.tenant_id, s.instance_id, s.name, now() + make_interval(secs => s.after_s), s.version, s.correlation_id,
       s.causation_id, s.traceparent
from unnest($2::text[], $3::text[], $4::text[], $5::float8[], $6::bigint[], $7::uuid[], $8::uuid[], $9::text[])
    as s (tenant_id, instance_id, name, after_s, version, correlation_id, causation_id, traceparent)
on conflict (process, tenant_id, instance_id, name) do update
set due_at = excluded.due_at, set_by_version = excluded.set_by_version, correlation_id = excluded.correlation_id,
    causation_id = excluded.causation_id, traceparent = excluded.traceparent
