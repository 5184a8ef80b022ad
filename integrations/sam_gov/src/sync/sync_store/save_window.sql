update sam_gov_syncs
set window_from = $2,
    window_to = $3,
    next_offset = $4,
    passes = $5,
    pass_pages = $6,
    pass_new = $7,
    pass_repeated = $8
where name = $1
