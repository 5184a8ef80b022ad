//! A notification as an inbox keeps it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::value::{Notification, NotificationId};
use crate::value::Stamp;

/// A notification in an inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    notification: Notification,
    told: Stamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read_at: Option<DateTime<Utc>>,
}

impl Kept {
    pub(super) fn told(notification: Notification, stamp: Stamp) -> Self {
        Self { notification, told: stamp, read_at: None }
    }

    /// Which one it is.
    pub fn id(&self) -> NotificationId {
        self.notification.notification_id
    }

    /// What it says.
    pub fn notification(&self) -> &Notification {
        &self.notification
    }

    /// Who told it, and when.
    pub fn stamp(&self) -> &Stamp {
        &self.told
    }

    /// When it was read first; `None` while it is unread.
    pub fn read_at(&self) -> Option<DateTime<Utc>> {
        self.read_at
    }

    /// Whether nobody has read it.
    pub fn is_unread(&self) -> bool {
        self.read_at.is_none()
    }

    pub(super) fn read(&mut self, at: DateTime<Utc>) {
        self.read_at.get_or_insert(at);
    }
}
