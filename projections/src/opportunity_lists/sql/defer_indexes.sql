insert into {schema}.deferred_indexes (name, of_table, definition, is_primary_key)
select index_class.relname, table_class.relname, pg_get_indexdef(pg_index.indexrelid), pg_index.indisprimary
from pg_index
join pg_class as index_class on index_class.oid = pg_index.indexrelid
join pg_class as table_class on table_class.oid = pg_index.indrelid
where table_class.relnamespace = '{schema}'::regnamespace
    and table_class.relname in ('opportunities', 'awards', 'counters', 'triple_counters')
