select subject, version, schemas.id, schemas.original as schema
from schema_registry.versions
join schema_registry.schemas on schemas.id = versions.schema_id
where starts_with(subject, $1) and deleted = any($2)
    and (not $3 or version = (
        select max(newest.version)
        from schema_registry.versions newest
        where newest.subject = versions.subject and newest.deleted = any($2)
    ))
order by subject, version
offset $4 limit $5
