//! The change of the read model that an event causes.

use std::fmt;

use domain::envelope::RawEnvelope;

use super::tenant_aggregate::AggregateDescriptor;

/// An event of an aggregate that a tenant owns.
#[derive(Clone)]
pub struct TenantViewChange {
    pub(super) kind: &'static AggregateDescriptor,
    pub(super) event: RawEnvelope,
}

impl fmt::Debug for TenantViewChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantViewChange").field("kind", &self.kind.name).field("event", &self.event).finish()
    }
}
