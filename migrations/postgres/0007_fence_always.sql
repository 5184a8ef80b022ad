-- Also for sessions in the role of a replica, such as the apply workers of logical replication: whoever appends,
-- registers, and nobody changes what is there.
alter table events enable always trigger events_register_append;
alter table events enable always trigger events_are_immutable;
