select name
from system.tables
where database = ? and name in cast(? as Array(String)) and not endsWith(engine, 'View')
order by name
