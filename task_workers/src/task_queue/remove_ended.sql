delete from task_queue
where ctid in (
    select ctid from task_queue where status = 'ended' and changed_at < now() - make_interval(secs => $1) limit $2)
