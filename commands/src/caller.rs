//! The caller of a command, as the log records it.

use chrono::{DateTime, Utc};
use domain::{
    envelope::EventMetadata,
    value::{AuditStamp, TenantId, UserId},
};
use uuid::Uuid;

/// The origin of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The person or program.
    pub user_id: UserId,
    /// The tenant whose data is changed.
    pub tenant_id: TenantId,
    /// Shared by all events that one request causes.
    pub correlation_id: Uuid,
    /// The event that a program reacts to, if any.
    pub causation_id: Option<Uuid>,
}

impl Caller {
    /// A caller with a new correlation id.
    pub fn new(user_id: UserId, tenant_id: TenantId) -> Self {
        Self { user_id, tenant_id, correlation_id: new_correlation_id(), causation_id: None }
    }

    /// The caller for a part of this product that works on public data, e.g. `system:import`.
    pub fn for_program(program: &'static str) -> Self {
        Self::new(UserId::from_program(program), TenantId::public())
    }

    /// The audit stamp of this caller at that time.
    pub fn stamp(&self, at: DateTime<Utc>) -> AuditStamp {
        AuditStamp { by: self.user_id.clone(), at }
    }

    /// Event metadata with this caller as the origin, and the current span as the trace context.
    pub fn metadata(&self) -> EventMetadata {
        EventMetadata {
            tenant_id: self.tenant_id.to_string(),
            user_id: self.user_id.to_string(),
            correlation_id: self.correlation_id.to_string(),
            causation_id: self.causation_id.map(|id| id.to_string()).unwrap_or_default(),
            traceparent: telemetry::current_traceparent(),
            ..EventMetadata::default()
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the only function that creates correlation ids")]
fn new_correlation_id() -> Uuid {
    Uuid::now_v7()
}
