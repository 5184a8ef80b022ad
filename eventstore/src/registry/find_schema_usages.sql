select subject, version
from schema_registry.versions
where schema_id = $1 and deleted = any($2)
order by subject, version
