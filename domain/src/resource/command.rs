//! What can be asked of a resource.

use super::value::ResourceContent;
use crate::value::AuditStamp;

/// A wish about one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceCommand {
    /// Make it.
    Create {
        /// What it holds.
        asset: ResourceContent,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Let it hold something else.
    Update {
        /// What it is to hold.
        asset: ResourceContent,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Do away with it for good.
    Delete {
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
}
