//! The events of a checklist. These names are a storage format, which `tests.rs` pins.

use std::collections::BTreeSet;

use domain::{event_version::event_versions, value::AuditStamp};
use serde::{Deserialize, Serialize};

use super::{ChecklistItem, ItemCompletion};

/// An event of a checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ChecklistEvent {
    /// The checklist was created.
    Created {
        /// What has to be done.
        items: BTreeSet<ChecklistItem>,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// An item is done.
    ItemTicked {
        /// The item.
        item: ChecklistItem,
        /// How it was done.
        completion: ItemCompletion,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The checklist was closed.
    Closed {
        /// Who did it, and when.
        stamp: AuditStamp,
    },
}

event_versions! {
    ChecklistEvent {
        Created => "checklist.created", "1.0";
        // Version 1.1 has a note.
        ItemTicked => "checklist.item_ticked", "1.1", from "1.0" by |_| {};
        Closed => "checklist.closed", "1.0";
    }
}
