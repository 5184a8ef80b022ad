-- Matches of saved searches with opportunities (ADR 37).

-- What matching reads of the log: searches, and who may be notified. The condition is repeated in
-- saved_search_matching/src/search_registry/load_events.sql.
create index events_of_saved_searches on events (position)
    where event_type in ('watchlist.search_saved', 'watchlist.search_removed', 'company.registered',
                         'company.member_added', 'company.member_removed', 'company.closed');

-- A search and an opportunity match once, whatever is delivered again or amended.
create table search_matches (
    tenant_id      text        not null,
    user_id        text        not null,
    search_id      uuid        not null,
    opportunity_id text        not null,
    search_name    text        not null,
    title          text        not null,
    agency_name    text        not null,
    frequency      text        not null check (frequency in ('at_once', 'daily')),
    -- The event that states the facts that match.
    event_id       uuid        not null,
    matched_at     timestamptz not null default now(),
    -- When the user was notified of this match alone, or by a digest. Null for a match that is announced together with
    -- others.
    notified_at    timestamptz,
    primary key (tenant_id, user_id, search_id, opportunity_id)
);
create index search_matches_by_time on search_matches (matched_at);
create index search_matches_for_digests on search_matches (tenant_id, user_id, matched_at)
    where frequency = 'daily' and notified_at is null;

-- Matches beyond those that are recorded one by one, by search and hour.
create table search_match_overflows (
    tenant_id     text        not null,
    user_id       text        not null,
    search_id     uuid        not null,
    hour          timestamptz not null,
    search_name   text        not null,
    frequency     text        not null check (frequency in ('at_once', 'daily')),
    opportunities bigint      not null,
    notified_at   timestamptz,
    -- A search may change its frequency within the hour; a digest counts only what was found for it.
    primary key (tenant_id, user_id, search_id, hour, frequency)
);
create index search_match_overflows_by_time on search_match_overflows (hour);

-- The open instances of a search or a user, whose ids begin with user and search.
create index process_instances_open_by_id on process_instances (process, tenant_id, instance_id collate "C")
    where status = 'waiting' or stalled;
