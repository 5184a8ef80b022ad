-- Addresses that have stopped mail of a category by a link in a mail (ADR 38), whatever company or user names them. Only
-- a link that was sent to the address removes the row.
create table mail_opt_outs (
    -- A digest of the address, see `mail::AddressDigest`.
    address_digest text        not null,
    category       text        not null,
    stopped_at     timestamptz not null default now(),
    primary key (address_digest, category)
);
