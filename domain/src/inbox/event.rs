//! What has happened to an inbox.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. The golden test beside this
//! file pins the stored JSON. A changed shape is a new version, which `upcast.rs` lifts the old one to;
//! `schemas/README.md` says what else it takes.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::value::{Notification, NotificationId};
use crate::value::AuditStamp;

/// Something that happened to an inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum InboxEvent {
    /// The user was told something.
    Notified {
        /// What.
        notification: Notification,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// Some that were unread count as read.
    Read {
        /// Which ones, the newest last.
        notification_ids: Vec<NotificationId>,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// All that was there counts as read.
    AllRead {
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The user let go of one.
    Dismissed {
        /// Which one.
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
