//! The events of an inbox.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version and an upcaster in `upcast.rs`; `schemas/README.md` lists the other
//! steps.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::value::{Notification, NotificationId};
use crate::value::AuditStamp;

/// An event of an inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum InboxEvent {
    /// A notification was added.
    Notified {
        /// The notification.
        notification: Notification,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// Unread notifications were marked as read.
    Read {
        /// Their ids, the newest last.
        notification_ids: Vec<NotificationId>,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// All notifications were marked as read.
    AllRead {
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A notification was dismissed.
    Dismissed {
        /// The notification's id.
        notification_id: NotificationId,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
}

impl DomainEvent for InboxEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Notified { .. } => "inbox.notified",
            Self::Read { .. } => "inbox.read",
            Self::AllRead { .. } => "inbox.all_read",
            Self::Dismissed { .. } => "inbox.dismissed",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        match self {
            Self::Notified { .. } | Self::Read { .. } | Self::AllRead { .. } | Self::Dismissed { .. } => "1.0",
        }
        .to_owned()
    }
}
