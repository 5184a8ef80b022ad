select subject
from schema_registry.versions
where starts_with(subject, $1) and deleted = any($2)
group by subject
-- Only deleted subjects: those without a version that is not deleted.
having not $3 or not exists (
    select from schema_registry.versions active where active.subject = versions.subject and not active.deleted
)
order by subject
offset $4 limit $5
