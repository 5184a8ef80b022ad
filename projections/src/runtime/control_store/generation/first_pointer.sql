update projection_pointer
set version = version + 1, generations = generations || jsonb_build_object($1::text, $2::int), moved_at = now()
