//! Aggregates of each tenant, in `Redis`: proposals, documents, resources, tasks, the company itself, and the inboxes
//! of its users.
//!
//! Each stream is a hash of its version and its folded state; the lists that contain it are sorted sets by time of
//! creation. One script compares versions and writes a stream together with its list entries, atomically, so that a
//! repeated event changes nothing. The tenant is part of every key that queries read: no key holds data of two tenants.
//!
//! | key below `medhub:workspace:g1:` | what it holds |
//! | --- | --- |
//! | `generation` | marker of a prepared generation; writes require it |
//! | `<kind>:<stream>` | version and state; a stream is named `<tenant>:<id>`, a company's `<tenant>` |
//! | `list:<kind>:<tenant>:<group>` | members of a group, by time of creation |
//!
//! A new kind is one `impl TenantAggregate` and one `AggregateDescriptor` in `tenant_aggregate.rs`.

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
