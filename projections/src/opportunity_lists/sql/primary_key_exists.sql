select exists (
    select from pg_constraint where connamespace = '{schema}'::regnamespace and contype = 'p' and conname = $1
)
