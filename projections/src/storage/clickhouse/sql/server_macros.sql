select number, maxIf(substitution, macro = 'shard') as shard, maxIf(substitution, macro = 'replica') as replica
from (
    select _shard_num as number, macro, substitution
    from clusterAllReplicas(?, system.macros)
    union all
    select _shard_num as number, '' as macro, '' as substitution
    from clusterAllReplicas(?, system.one)
)
group by number
order by number
settings skip_unavailable_shards = 1
