insert into sam_gov_notices (source, notice_id, opportunity_id, digest, description_due)
select $1, * from unnest($2::text[], $3::text[], $4::text[], $5::boolean[])
on conflict (source, notice_id) do update
set opportunity_id = excluded.opportunity_id,
    digest = excluded.digest,
    description_due = excluded.description_due,
    absences = 0,
    absent_from = null,
    removed = false
