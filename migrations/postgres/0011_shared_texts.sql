-- What people write together in a proposal, between the keystrokes and the events: `base` holds all that the proposal's
-- events hold, `shared_text_updates` what came after it. Nothing here is read by projections: the events tell the text.
create table shared_texts (
    tenant_id text not null,
    proposal_id uuid not null,
    -- The number of the last update.
    seq bigint not null default 0,
    -- The number of the last update that is in `base`.
    base_seq bigint not null default 0,
    -- A Yjs document, as an update in the encoding of its version 1; nothing before the first.
    base bytea,
    -- What the proposal's sections said when `base` was made, by their keys.
    texts jsonb not null default '{}',
    -- What is about to be recorded, with the key of its command, and the base that it makes. It is given again until the
    -- log has taken or refused it.
    intent jsonb,
    intent_base bytea,
    -- Since when there are updates that no event tells; null where there are none.
    unsettled_since timestamptz,
    changed_at timestamptz not null default now(),
    primary key (tenant_id, proposal_id)
);

create index shared_texts_unsettled on shared_texts (unsettled_since) where unsettled_since is not null;

create table shared_text_updates (
    tenant_id text not null,
    proposal_id uuid not null,
    -- Grows by one with each update of the text.
    seq bigint not null,
    -- Who wrote it; null for what was taken over from the proposal's events.
    user_id text,
    body bytea not null,
    primary key (tenant_id, proposal_id, seq),
    foreign key (tenant_id, proposal_id) references shared_texts on delete cascade
);

-- As for the log: whoever is given the role `medhub_tenant` reads its own tenant's rows, and no others.
alter table shared_texts enable row level security;
alter table shared_text_updates enable row level security;
create policy tenant_reads on shared_texts for select
    using (tenant_id = nullif(current_setting('medhub.tenant', true), ''));
create policy tenant_reads on shared_text_updates for select
    using (tenant_id = nullif(current_setting('medhub.tenant', true), ''));

do $$
begin
    if exists (select from pg_roles where rolname = 'medhub_tenant') then
        grant select on shared_texts, shared_text_updates to medhub_tenant;
    end if;
exception
    when insufficient_privilege then
        raise notice 'an administrator can grant select on shared_texts and shared_text_updates to medhub_tenant';
end
$$;
