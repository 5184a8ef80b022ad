//! What can be asked of an inbox.

use super::value::{Notification, NotificationId, NotificationIds};
use crate::value::AuditStamp;

/// A wish about one user's inbox. Never refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboxCommand {
    /// Tell the user something, at most once: an id that was told before changes nothing, whatever comes with it.
    Notify {
        /// What.
        notification: Notification,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Let some count as read.
    MarkRead {
        /// Which ones; those that are read or not there are passed over.
        notification_ids: NotificationIds,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Let all that is there count as read.
    MarkAllRead {
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Let go of one, read or not.
    Dismiss {
        /// Which one.
        notification_id: NotificationId,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
}
