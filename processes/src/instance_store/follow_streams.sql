insert into process_streams (process, aggregate_type, aggregate_id, tenant_id, instance_id)
select $1, * from unnest($2::text[], $3::text[], $4::text[], $5::text[])
on conflict do nothing
