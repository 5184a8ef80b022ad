update projection_pointer
set version = version + 1, generations = $1, previous = $2, moved = $3, moved_at = now()
