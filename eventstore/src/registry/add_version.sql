-- Numbers of deleted versions are not given out again, those of versions that were deleted for ever are.
insert into schema_registry.versions (subject, version, schema_id)
select $1, coalesce(max(version), 0) + 1, $2
from schema_registry.versions
where subject = $1
returning version
