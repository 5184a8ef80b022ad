with cast(? as Array(String)) as wanted_ids
select ?fields
from opportunities final
where id in wanted_ids
order by posted_at desc, id
