select subject, version, schemas.id, schemas.original as schema
from schema_registry.versions
join schema_registry.schemas on schemas.id = versions.schema_id
where subject = $1 and ($2::integer is null or version = $2) and deleted = any($3)
order by version desc
limit 1
