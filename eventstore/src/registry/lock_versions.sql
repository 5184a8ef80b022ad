select version, schema_id, deleted
from schema_registry.versions
where subject = $1
order by version
