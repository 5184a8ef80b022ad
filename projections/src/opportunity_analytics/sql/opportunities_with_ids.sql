select ?fields
from opportunities final
prewhere id in ?
