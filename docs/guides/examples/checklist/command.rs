//! The commands of a checklist.

use std::collections::BTreeSet;

use domain::value::AuditStamp;

use super::{ChecklistItem, ItemCompletion};

/// A command for one checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChecklistCommand {
    /// Creates the checklist.
    Create {
        /// What has to be done.
        items: BTreeSet<ChecklistItem>,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Marks an item as done.
    Tick {
        /// The item.
        item: ChecklistItem,
        /// How it was done.
        completion: ItemCompletion,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Closes the checklist for good.
    Close {
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
}
