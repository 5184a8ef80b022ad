//! The events of a checklist. These names are a storage format, which `tests.rs` pins.

use std::collections::BTreeSet;

use cqrs_es::DomainEvent;
use domain::value::AuditStamp;
use serde::{Deserialize, Serialize};

use super::{ChecklistItem, ChecklistNote};

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
        /// A note about it; `None` in events of version 1.0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<ChecklistNote>,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The checklist was closed.
    Closed {
        /// Who did it, and when.
        stamp: AuditStamp,
    },
}

impl DomainEvent for ChecklistEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Created { .. } => "checklist.created",
            Self::ItemTicked { .. } => "checklist.item_ticked",
            Self::Closed { .. } => "checklist.closed",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        match self {
            Self::Created { .. } | Self::Closed { .. } => "1.0",
            Self::ItemTicked { .. } => "1.1",
        }
        .to_owned()
    }
}
