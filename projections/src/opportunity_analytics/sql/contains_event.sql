select count() > 0
from events
where tenant_id = ? and context = ? and event_type = ? and recorded_at = fromUnixTimestamp64Micro(toInt64(?), 'UTC')
    and event_id = toUUID(?)
