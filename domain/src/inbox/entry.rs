//! A notification in an inbox, with its read state.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::value::{Notification, NotificationId};
use crate::value::AuditStamp;

/// A notification in an inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxEntry {
    notification: Notification,
    #[serde(rename = "told")]
    stamp: AuditStamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read_at: Option<DateTime<Utc>>,
}

impl InboxEntry {
    pub(super) fn new(notification: Notification, stamp: AuditStamp) -> Self {
        Self { notification, stamp, read_at: None }
    }

    /// The notification's id.
    pub fn id(&self) -> NotificationId {
        self.notification.notification_id
    }

    /// The notification.
    pub fn notification(&self) -> &Notification {
        &self.notification
    }

    /// Who sent it, and when.
    pub fn stamp(&self) -> &AuditStamp {
        &self.stamp
    }

    /// When it was read first; `None` while it is unread.
    pub fn read_at(&self) -> Option<DateTime<Utc>> {
        self.read_at
    }

    /// Whether it is unread.
    pub fn is_unread(&self) -> bool {
        self.read_at.is_none()
    }

    pub(super) fn mark_read(&mut self, at: DateTime<Utc>) {
        self.read_at.get_or_insert(at);
    }
}
