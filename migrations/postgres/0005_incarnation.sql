-- A log that was dumped and restored, or whose database was cloned, is another log: it may have lost its end and grows
-- on differently. Its new home tells it apart.
alter table log_incarnation
    add column system_identifier bigint,
    add column database_oid oid;

create function log_home(out system_identifier bigint, out database_oid oid) language sql stable as $$
    select control.system_identifier, database.oid
    from pg_control_system() control, pg_database database
    where database.datname = current_database()
$$;

update log_incarnation set (system_identifier, database_oid) = (select * from log_home());

alter table log_incarnation
    alter column system_identifier set not null,
    alter column database_oid set not null;
