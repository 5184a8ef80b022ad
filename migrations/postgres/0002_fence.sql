-- The fence: up to which position the log is complete (ADR 0003).
--
-- A position is taken when a row is inserted and becomes visible when its transaction commits, in another order.
-- Every statement that appends therefore says first, by a shared advisory lock held until its transaction ends, that
-- it may still fill any position above the last one taken so far. The trigger runs before the first position is
-- taken, for every writer, psql and COPY included. Transactions that append nothing hold no such lock and so delay
-- nobody; a lock goes with its transaction, whether it commits, aborts or dies, and stays with a prepared one.
--
-- Key: 16 bits 'MH' (0x4d48 = 19784), 48 bits position.
create function log_register_append() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(
        (19784::bigint << 48) | coalesce(pg_sequence_last_value('events_position_seq'), 0)
    );
    return null;
end
$$;

create trigger events_register_append
    before insert on events
    for each statement execute function log_register_append();

-- Every position up to the answer is either visible to a statement that starts after this call, or never will be.
-- The order matters: the end of the log is read first, so that whoever took a position up to it held a lock by then.
create function log_completed_prefix() returns bigint language plpgsql volatile as $$
declare
    log_end bigint := coalesce(pg_sequence_last_value('events_position_seq'), 0);
    lowest_open bigint;
begin
    select min(((classid::bigint & 65535) << 32) | objid::bigint) into lowest_open
    from pg_locks
    where locktype = 'advisory' and objsubid = 1 and granted
      and database = (select oid from pg_database where datname = current_database())
      and classid::bigint >> 16 = 19784;
    return least(log_end, lowest_open);
end
$$;
