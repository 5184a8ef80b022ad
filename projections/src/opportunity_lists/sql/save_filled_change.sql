insert into {schema}.filled_changes as stored (opportunity_id, award_key, sequence)
values ($1, $2, $3)
on conflict (opportunity_id, award_key) do update set sequence = greatest(stored.sequence, excluded.sequence)
