insert into projection_generations (projection, generation, state, incarnation)
select $1, greatest(
        coalesce((select max(generation) from projection_generations where projection = $1), 0),
        coalesce((select max(generation) from projection_rebuild_parts where projection = $1), 0)
    ) + 1, 'building', $2
returning generation
