update log_incarnation
set id = gen_random_uuid(), since = now(), (system_identifier, database_oid) = (select * from log_home())
returning id
