select _shard_num as number, countIf(database = ?) as tables
from clusterAllReplicas(?, system.tables)
group by number
order by number
settings skip_unavailable_shards = 1
