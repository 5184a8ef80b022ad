select server, maxIf(substitution, macro = 'shard') as shard, maxIf(substitution, macro = 'replica') as replica
from (
    select concat(hostName(), ':', toString(tcpPort())) as server, macro, substitution
    from clusterAllReplicas(?, system.macros)
    union all
    select concat(hostName(), ':', toString(tcpPort())) as server, '' as macro, '' as substitution
    from clusterAllReplicas(?, system.one)
)
group by server
order by server
settings skip_unavailable_shards = 1
