select distinct name, engine_full
from clusterAllReplicas(?, system.tables)
where database = ?
settings skip_unavailable_shards = 1
