-- The synchronisation with SAM.gov (ADR 35): how far it has come, and what its sources list. What was recorded is in
-- the log; the rows here only save reading and asking again.

-- One row for each source that is followed ('api', 'extract'), and for each range of days that was asked for and is not
-- complete ('api:2026-01-01:2026-02-28', 'api:2026-01-01:today').
create table sam_gov_syncs (
    name             text primary key,
    -- API: the last day of publication that was read completely.
    complete_through date,
    -- API: the window that is being read, the offset of its next page, and how often the window was read before.
    window_from      date,
    window_to        date,
    next_offset      bigint      not null default 0,
    passes           integer     not null default 0,
    -- API: what this pass over the window has found: pages, notices that no pass found before, and how many pages were
    -- read since the last one with such a notice.
    pass_pages       bigint      not null default 0,
    pass_new         bigint      not null default 0,
    pass_repeated    integer     not null default 0,
    -- Extract: the validators and the SHA-256 of the version that was read to its end.
    etag             text,
    last_modified    text,
    content_sha256   text,
    -- When the last run began, when the last complete one ended, and why the last one did not.
    attempted_at     timestamptz,
    completed_at     timestamptz,
    last_error       text
);

-- The notices of the window that is being read: a complete window has as many as the API announces.
create table sam_gov_window_notices (
    sync_name text not null,
    notice    text not null,
    primary key (sync_name, notice)
);

-- The last version of each notice that a source has listed.
create table sam_gov_notices (
    source          text     not null,
    notice_id       text     not null,
    opportunity_id  text     not null,
    digest          text     not null,
    -- The API gave the address of its text only, and the text was not fetched yet.
    description_due boolean  not null default false,
    -- Extract: the number of consecutive versions without it, the SHA-256 of the last one of them, and whether it counts as
    -- removed from the extract.
    absences        integer  not null default 0,
    absent_from     text,
    removed         boolean  not null default false,
    primary key (source, notice_id)
) with (fillfactor = 90);
create index sam_gov_notices_by_opportunity on sam_gov_notices (source, opportunity_id);

-- Requests to the API by day (UTC), against the daily quota of the key, and until when the API refuses further ones.
create table sam_gov_api_usage (
    day             date primary key,
    requests        integer not null default 0,
    throttled_until timestamptz
);
