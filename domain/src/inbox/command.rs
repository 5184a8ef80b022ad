//! The commands of an inbox.

use super::value::{Notification, NotificationId, NotificationIds};
use crate::value::AuditStamp;

/// A command for one user's inbox. Never refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboxCommand {
    /// Notifies the user, at most once: an id that was sent before changes nothing, whatever its content.
    Notify {
        /// The notification.
        notification: Notification,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Marks some notifications as read.
    MarkRead {
        /// Which ones; those that are read already or not in the inbox are ignored.
        notification_ids: NotificationIds,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Marks all notifications in the inbox as read.
    MarkAllRead {
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Removes one notification, read or not.
    Dismiss {
        /// Which one.
        notification_id: NotificationId,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
}
