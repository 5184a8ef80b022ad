-- Numbers of softly deleted versions are not assigned again; the highest ones are after a permanent deletion.
insert into schema_registry.versions (subject, version, schema_id)
select $1, coalesce(max(version), 0) + 1, $2
from schema_registry.versions
where subject = $1
returning version
