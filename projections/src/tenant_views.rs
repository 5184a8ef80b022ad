//! Aggregates of each tenant, in `Redis`: proposals, documents, resources, tasks, the company itself, and the inboxes
//! of its users.
//!
//! Each stream is a versioned state. The lists that contain it are sorted sets by time of creation; they are written
//! atomically with the state, so that a repeated event changes nothing. The tenant is the hash tag of every key: no key
//! has data of two tenants.
//!
//! | key below `medhub:workspace:g1:{<tenant>}:` | what it holds |
//! | --- | --- |
//! | `<kind>:<stream>` | version and state; a stream is named `<tenant>:<id>`, a company's `<tenant>` |
//! | `list:<kind>:<group>` | members of a group, by time of creation |
//!
//! A new kind needs one `impl TenantAggregate` and one `AggregateDescriptor` in `tenant_aggregate.rs`.

mod aggregate_history;
mod aggregate_list;
mod projection;
mod queries;
mod read_back;
mod stored_aggregate;
mod tenant_aggregate;
mod tenant_view_change;
mod verify;
mod write;

pub use self::{
    aggregate_history::{aggregate_at, aggregate_events},
    aggregate_list::{AggregatePage, ListCursor},
    queries::TenantViews,
    stored_aggregate::StoredAggregate,
    tenant_aggregate::{ListGroup, TenantAggregate},
    tenant_view_change::TenantViewChange,
};

/// The name of this read model in keys, settings, metrics and commands. It is older than the name of this module, and
/// stored.
const READ_MODEL: &str = "workspace";
