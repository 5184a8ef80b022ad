-- What a tenant may read of the log by SQL: its own rows and those that are everybody's, whatever the query says.
--
-- The service itself owns the tables and is not bound by this; it keeps tenants apart by the names of streams and keys.
-- Whoever is given the role `medhub_tenant` says whose data is wanted by `set medhub.tenant = 'acme'`; without it there
-- is public data only. Snapshots have no tenant, and are not readable by that role at all.
alter table events enable row level security;

create policy tenant_reads on events for select
    using (tenant_id in ('public', nullif(current_setting('medhub.tenant', true), '')));

do $$
begin
    -- Roles belong to the server: another database of the same one may have made it, or may be making it now.
    if not exists (select from pg_roles where rolname = 'medhub_tenant') then
        begin
            create role medhub_tenant nologin;
        exception
            when duplicate_object or unique_violation then null;
        end;
    end if;
    execute 'grant select on events to medhub_tenant';
exception
    when insufficient_privilege then
        raise notice 'the role medhub_tenant was not made: an administrator can create it and grant select on events';
end
$$;
