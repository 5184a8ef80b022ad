-- The running generations of each tenant, so that requests at the same time cannot exceed its limit together. A row of a
-- generation that has ended is removed when a later request finds no slot free.
create table generation_slots (
    tenant_id     text        not null,
    generation_id uuid        not null,
    proposal_id   uuid        not null,
    taken_at      timestamptz not null default now(),
    primary key (tenant_id, generation_id)
);

-- Tasks of the kind generate_proposal that name no generation are requested by tenants for workers of their own; those
-- that name one are done by the product only.
alter table task_queue add column for_tenant boolean not null generated always as
    (kind = 'generate_proposal' and coalesce(not job -> 'parameters' @> '[{"name": "generation_id"}]', true)) stored;
drop index task_queue_by_kind;
create index task_queue_by_kind on task_queue (kind, claimable_at) where status <> 'ended' and not for_tenant;
