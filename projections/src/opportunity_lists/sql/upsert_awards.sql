insert into {schema}.awards as stored (opportunity_id, award_key, bucket, sequence, amount_cents)
select * from unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[], $5::bigint[])
on conflict (opportunity_id, award_key) do update set sequence = excluded.sequence, amount_cents = excluded.amount_cents
where stored.sequence < excluded.sequence
