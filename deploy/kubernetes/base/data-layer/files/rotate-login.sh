#!/bin/sh
# Gives the login that is not in use a new password and writes both into /login, for the store of secrets. The one in use keeps
# its password until the next time, so that pods which still have it go on.
set -eu
case "${ACTIVE_USER:-}" in
  medhub_a) next=medhub_b ;;
  *) next=medhub_a ;;
esac
password=$(head -c 256 /dev/urandom | base64 | tr -dc 'A-Za-z0-9' | head -c 40)
[ "${#password}" -eq 40 ]
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set login="$next" --set password="$password" <<'SQL'
select format('create role %I login in role medhub_owner', :'login')
where not exists (select from pg_roles where rolname = :'login') \gexec
alter role :"login" set role = 'medhub_owner';
alter role :"login" password :'password';
SQL
umask 077
printf '{"user":"%s","password":"%s"}' "$next" "$password" > /login/login.json
