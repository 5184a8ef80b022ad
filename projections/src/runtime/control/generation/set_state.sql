update projection_generations
set state = $3, handover = coalesce($4, handover)
where projection = $1 and generation = $2
