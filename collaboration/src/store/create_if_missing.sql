insert into shared_texts (tenant_id, proposal_id) values ($1, $2) on conflict do nothing
