select concat(hostName(), ':', toString(tcpPort())) as server, countIf(has(cast(? as Array(String)), database)) as tables
from clusterAllReplicas(?, system.tables)
group by server
order by server
settings skip_unavailable_shards = 1
