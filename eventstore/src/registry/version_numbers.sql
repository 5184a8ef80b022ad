select version
from schema_registry.versions
where subject = $1 and deleted = any($2)
order by version
