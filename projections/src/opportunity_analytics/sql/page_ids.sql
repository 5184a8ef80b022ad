select id, total
from (select id, posted_at, count() over () as total from chosen)
where toUnixTimestamp64Micro(posted_at) < toInt64(?)
    or (toUnixTimestamp64Micro(posted_at) = toInt64(?) and id > ?)
order by posted_at desc, id
limit ?
