update process_instances i
set status = n.status,
    state = n.state,
    waits_since = case when i.status = n.status and i.waits_for = n.waits_for then i.waits_since else now() end,
    waits_for = n.waits_for,
    handled = n.handled,
    version = n.version,
    note = n.note
from unnest($2::text[], $3::text[], $4::text[], $5::jsonb[], $6::text[], $7::jsonb[], $8::bigint[], $9::text[])
    as n (tenant_id, instance_id, status, state, waits_for, handled, version, note)
where i.process = $1 and i.tenant_id = n.tenant_id and i.instance_id = n.instance_id
