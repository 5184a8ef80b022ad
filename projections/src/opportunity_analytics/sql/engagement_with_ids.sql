select ?fields
from engagement final
prewhere event_id in ?
where recorded_at >= fromUnixTimestamp64Micro(toInt64(?), 'UTC')
