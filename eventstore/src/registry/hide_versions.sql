update schema_registry.versions set deleted = true
where subject = $1 and version = any($2)
