select parked.projection, parked.generation, parked.aggregate_type, parked.aggregate_id, parked.fingerprint,
    parked.reason, parked.parked_at, count(letters.id) as letters, coalesce(max(letters.attempts), 0) as attempts
from parked_sequences as parked
left join dead_letters as letters using (projection, generation, aggregate_type, aggregate_id)
group by parked.projection, parked.generation, parked.aggregate_type, parked.aggregate_id
having true
