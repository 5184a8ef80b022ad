select seq, base_seq, base, texts, intent, intent_base
from shared_texts
where tenant_id = $1 and proposal_id = $2
