delete from schema_registry.versions
where subject = $1 and version = any($2)
