//! What each tenant owns, in `Redis`: proposals, documents, resources, tasks, the company itself, and the inboxes of its
//! users.
//!
//! Every stream is a hash of its version and its folded state; the lists that it is in are sorted sets by time of
//! creation. One script compares versions and moves a stream together with its places in lists, so that an event has
//! its effect once, however often it comes. The tenant is part of every key that a reader asks for: there is no key that
//! shows what two tenants own.
//!
//! | key below `medhub:workspace:g1:` | what it holds |
//! | --- | --- |
//! | `generation` | the marker: without it nothing is written |
//! | `<kind>:<stream>` | version and state; a stream is named `<tenant>:<id>`, that of a company `<tenant>` |
//! | `list:<kind>:<tenant>:<group>` | what is in a group, by time of creation |
//!
//! A new kind is one `impl Owned` and one line in `kind.rs`.

mod aggregate_history;
mod aggregate_list;
mod projection;
mod queries;
mod stored_aggregate;
mod stored_rows;
mod tenant_aggregate;
mod write;

pub(crate) use self::write::local_id;
pub use self::{
    aggregate_history::{aggregate_at, aggregate_events},
    aggregate_list::{AggregatePage, ListCursor},
    projection::TenantViewChange,
    queries::TenantViews,
    stored_aggregate::StoredAggregate,
    tenant_aggregate::{ListGroup, TenantAggregate},
};
