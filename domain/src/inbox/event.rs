//! The events of an inbox.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version with an upcaster, in `event_versions!`; `schemas/README.md` lists the
//! other steps.

use serde::{Deserialize, Serialize};

use super::value::{Notification, NotificationId};
use crate::{event_version::event_versions, value::AuditStamp};

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

event_versions! {
    InboxEvent {
        Notified => "inbox.notified", "1.0";
        Read => "inbox.read", "1.0";
        AllRead => "inbox.all_read", "1.0";
        Dismissed => "inbox.dismissed", "1.0";
    }
}
