select distinct opportunity_id
from sam_gov_notices
where source = $1 and opportunity_id = any($2) and not removed and notice_id <> all($3)
