-- The table of a generation that is being filled has no index yet.
select case
    when is_filling then exists (
        select from {schema}.filled_changes where opportunity_id = $1 and award_key = '' and sequence >= $2
    )
    else exists (select from {schema}.opportunities where id = $1 and sequence >= $2)
end
from {schema}.generation
