update dead_letters
set attempts = attempts + 1, last_reason = $2, last_tried_at = now()
where id = $1
