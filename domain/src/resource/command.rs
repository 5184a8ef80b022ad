//! The commands of a resource.

use super::value::ResourceContent;
use crate::value::AuditStamp;

/// A command for one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceCommand {
    /// Creates the resource.
    Create {
        /// Its content.
        content: ResourceContent,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Replaces the content.
    Update {
        /// The new content, complete.
        content: ResourceContent,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Deletes the resource for good.
    Delete {
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
}
