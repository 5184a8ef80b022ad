select database, name, type
from system.columns
where database in cast(? as Array(String)) and table = ? and default_kind in ('', 'DEFAULT')
order by database, position
