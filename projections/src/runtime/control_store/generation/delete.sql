delete from projection_generations
where projection = $1 and generation = $2 and state = 'failed'
    and not exists (select from projection_pointer where (generations ->> $1)::integer = $2)
