select count()
from events
where tenant_id = ? and context = ? and event_type = ? and recorded_at = fromUnixTimestamp64Micro(?) and event_id = ?
