insert into schema_registry.levels (subject, level) values ($1, $2)
on conflict (subject) do update set level = excluded.level
