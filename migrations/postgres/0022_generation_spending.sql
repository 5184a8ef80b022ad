-- What generated texts have cost each tenant, by calendar month (UTC), and what running generations may still cost.
create table generation_spending (
    tenant_id    text   not null,
    month        date   not null,
    spent_micros bigint not null default 0 check (spent_micros >= 0),
    primary key (tenant_id, month)
);

-- A reservation ends when its generation is settled, or by itself when its program has died.
create table generation_reservations (
    reservation_id uuid        primary key,
    tenant_id      text        not null,
    month          date        not null,
    max_micros     bigint      not null check (max_micros >= 0),
    expires_at     timestamptz not null
);

create index generation_reservations_by_month on generation_reservations (tenant_id, month);
