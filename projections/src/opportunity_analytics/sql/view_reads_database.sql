select countIf(position(replaceAll(create_table_query, '`', ''), concat(?, '.')) > 0) > 0
from system.tables
where database = ? and engine = 'View' and has(cast(? as Array(String)), name)
