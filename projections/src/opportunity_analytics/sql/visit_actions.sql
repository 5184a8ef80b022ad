select ?fields
from engagement final
where kind in ('view', 'click') and tenant_id = ? and (? or user_id = ?) and (? or page_url = ?)
order by at desc, event_id
limit ?
