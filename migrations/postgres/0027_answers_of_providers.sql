-- The section that a reservation is for; the answer of its provider until the log has it; and what earlier attempts at the
-- section have cost that no event has.
alter table generation_reservations
    add column generation_id uuid,
    add column section text,
    add column answer jsonb,
    add column earlier_micros bigint not null default 0;

create index generation_reservations_by_section on generation_reservations (generation_id, section)
    where generation_id is not null;
