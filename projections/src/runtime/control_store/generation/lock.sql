select state
from projection_generations
where projection = $1 and generation = $2
for update
