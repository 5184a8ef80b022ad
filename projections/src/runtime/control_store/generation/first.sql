insert into projection_generations (projection, generation, state, incarnation)
select $1, $2, 'following', $3
where not exists (select from projection_generations where projection = $1)
on conflict do nothing
