-- An append is published once it is visible. With synchronous_commit off it is visible before it is on disk, and a
-- crash of the server would take it out of the log when it is on Kafka already. An append therefore waits for the disk,
-- whatever its session says; the rest of the session is left as it is.
create or replace function log_register_append() returns trigger language plpgsql as $$
begin
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'local', true);
    end if;
    perform pg_advisory_xact_lock_shared(
        (19784::bigint << 48) | coalesce(pg_sequence_last_value('events_position_seq'), 0)
    );
    return null;
end
$$;

-- What the checkpoint says has been published must hold after a crash, and with it everything before in the server's
-- own log, such as positions that were taken by an append that was rolled back.
create function relay_checkpoints_are_durable() returns trigger language plpgsql as $$
begin
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'local', true);
    end if;
    return null;
end
$$;

create trigger relay_checkpoints_are_durable
    before insert or update on relay_checkpoints
    for each statement execute function relay_checkpoints_are_durable();
