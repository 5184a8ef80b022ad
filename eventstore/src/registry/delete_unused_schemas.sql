delete from schema_registry.schemas
where id = any($1)
    and not exists (select from schema_registry.versions where schema_id = schemas.id)
