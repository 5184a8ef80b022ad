select
    shard_num as shard, concat(host_name, ':', toString(port)) as server,
    toBool(internal_replication) as has_internal_replication
from system.clusters
where cluster = ?
order by shard_num, replica_num
