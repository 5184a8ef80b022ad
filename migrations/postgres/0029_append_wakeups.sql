-- Appends wake a reader that waits for them (ADR 53), and a reader at the end of the log asks once for fence and events.
--
-- A reader that has nothing to read holds an exclusive advisory lock and listens on the channel `medhub_log`. An append
-- tries to take that lock, shared and until its transaction ends. If it gets the lock, no reader waits, and none can
-- begin to wait before the append has ended. If it does not, a reader waits, and the append notifies it by its commit.
-- So no wake-up is lost, and a busy log pays for no notification: those are sent under a global lock.
--
-- Only programs of this product notify: a transaction that has notified cannot be prepared (`PREPARE TRANSACTION`), which
-- others may want. The reader finds their appends when it polls.
--
-- Key: 16 bits 19785, one more than that of open appends, and 48 bits 0.
create or replace function log_register_append() returns trigger language plpgsql as $$
begin
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'local', true);
    end if;
    perform pg_advisory_xact_lock_shared(
        (19784::bigint << 48) | coalesce(pg_sequence_last_value('events_position_seq'), 0)
    );
    if not pg_try_advisory_xact_lock_shared(19785::bigint << 48) then
        if current_setting('application_name') like 'medhub%' then
            perform pg_notify('medhub_log', '');
        end if;
    end if;
    return null;
end
$$;

-- Takes the lock of a reader that waits; false while an append is open that will not notify.
create function log_begin_waiting() returns boolean language sql volatile as $$
    select pg_try_advisory_lock(19785::bigint << 48)
$$;

-- Releases the lock of a reader that waits, however often its session took it. The session has no other locks.
create function log_end_waiting() returns void language sql volatile as $$
    select pg_advisory_unlock_all()
$$;

-- The first events after a position and up to the fence, which every row has, with the last position that was ever
-- taken. One row without an event if there is none. The query has a snapshot of its own, later than the fence; with a
-- higher isolation level its snapshot would be older, and an event between the two would be missed for ever.
create function log_read_tail(after bigint, max_events bigint) returns table (
    fence bigint, log_end bigint, event_position bigint, event_id uuid, tenant_id text, aggregate_type text,
    aggregate_id text, sequence bigint, event_type text, event_version text, recorded_at timestamptz, metadata json,
    payload json
)
language plpgsql volatile
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    completed bigint := log_completed_prefix();
    taken bigint := coalesce(pg_sequence_last_value('events_position_seq'), 0);
begin
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        raise exception 'log_read_tail needs the isolation level read committed, not %',
            current_setting('transaction_isolation');
    end if;
    if completed > after then
        return query
        select completed, taken, e.position, e.event_id, e.tenant_id, e.aggregate_type, e.aggregate_id, e.sequence,
               e.event_type, e.event_version, e.recorded_at, e.metadata, e.payload
        from events e
        where e.position > after and e.position <= completed
        order by e.position
        limit max_events;
        if found then
            return;
        end if;
    end if;
    return query select completed, taken, null::bigint, null::uuid, null::text, null::text, null::text, null::bigint,
                        null::text, null::text, null::timestamptz, null::json, null::json;
end
$$;
