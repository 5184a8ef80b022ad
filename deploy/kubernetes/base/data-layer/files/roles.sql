-- The owner of everything that the program creates. Its two logins, `medhub_a` and `medhub_b`, act as this role; the job
-- `rotate-postgres-login` creates them and gives each a new password in turn.
create role medhub_owner nologin;
-- To name the query of a session whose open append delays the relay.
grant pg_monitor to medhub_owner;
-- Migrations would create it, but this owner may not create roles.
create role medhub_tenant nologin;
alter database medhub owner to medhub_owner;
alter schema public owner to medhub_owner;
