select version, original
from schema_registry.versions
join schema_registry.schemas on schemas.id = versions.schema_id
where subject = $1 and not deleted
order by version desc
limit $2
