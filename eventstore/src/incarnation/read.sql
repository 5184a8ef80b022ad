select log_incarnation.id,
       (log_incarnation.system_identifier, log_incarnation.database_oid)
           = (home.system_identifier, home.database_oid) as at_home
from log_incarnation, log_home() home
