//! Who asks, as the log remembers it.

use domain::envelope::{Metadata, PUBLIC_TENANT};
use uuid::Uuid;

/// The origin of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The person or program.
    pub user_id: String,
    /// Whose data is touched.
    pub tenant_id: String,
    /// Groups everything that one request sets in motion.
    pub correlation_id: Uuid,
}

impl Caller {
    /// A caller with a new correlation id.
    pub fn new(user_id: impl Into<String>, tenant_id: impl Into<String>) -> Self {
        Self { user_id: user_id.into(), tenant_id: tenant_id.into(), correlation_id: new_correlation_id() }
    }

    /// A program of ours working on public data, e.g. the import.
    pub fn system(program: &str) -> Self {
        Self::new(format!("system:{program}"), PUBLIC_TENANT)
    }

    /// What the log records about the origin.
    pub fn metadata(&self) -> Metadata {
        Metadata {
            tenant_id: self.tenant_id.clone(),
            user_id: self.user_id.clone(),
            correlation_id: self.correlation_id.to_string(),
            ..Metadata::default()
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where correlation ids are minted")]
fn new_correlation_id() -> Uuid {
    Uuid::now_v7()
}
