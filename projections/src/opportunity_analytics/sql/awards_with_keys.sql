select ?fields
from awards final
prewhere concat(opportunity_id, ' ', award_key) in ?
