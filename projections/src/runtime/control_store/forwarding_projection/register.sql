insert into projection_generations (projection, generation, state, incarnation, handover)
values ($1, $2, 'following', $3, $4)
on conflict do nothing
