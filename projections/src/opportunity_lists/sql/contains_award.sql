-- The table of a generation that is being filled has no index yet.
select case
    when is_filling then exists (
        select from {schema}.filled_changes where opportunity_id = $1 and award_key = $2 and sequence >= $3
    )
    else exists (
        select from {schema}.awards where opportunity_id = $1 and award_key = $2 and sequence >= $3
    )
end
from {schema}.generation
