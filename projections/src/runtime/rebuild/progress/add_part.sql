insert into projection_rebuild_parts (rebuild_id, projection, generation, replaces, phase)
values ($1, $2, $3, $4, 'filling')
