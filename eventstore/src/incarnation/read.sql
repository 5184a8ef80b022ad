select log_incarnation.id,
       (log_incarnation.system_identifier, log_incarnation.database_oid)
           = (home.system_identifier, home.database_oid) as is_own_database
from log_incarnation, log_home() home
