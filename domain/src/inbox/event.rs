//! The events of an inbox.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version and an upcaster in `upcast.rs`; `schemas/README.md` lists the other
//! steps.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::{
    mail::{
        MailAddress, MailAttemptId, MailCategory, MailFailure, MailId, MailNote, MailPreferences, RequestedMail,
        SuppressionCause,
    },
    value::{Notification, NotificationId},
};
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
    /// The user chose where and when to receive mail.
    MailPreferencesChanged {
        /// The new preferences, complete.
        preferences: MailPreferences,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The user stopped mail of one category, by a link in a mail.
    MailUnsubscribed {
        /// The category.
        category: MailCategory,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A mail is to be sent.
    MailRequested {
        /// The mail.
        mail: RequestedMail,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The mail is about to be handed to a server. Recorded before that.
    MailAttempted {
        /// The mail's id.
        mail_id: MailId,
        /// The attempt's id.
        attempt_id: MailAttemptId,
        /// The address.
        address: MailAddress,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The server accepted the mail.
    MailSent {
        /// The mail's id.
        mail_id: MailId,
        /// The server's answer.
        answer: MailNote,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The server did not accept the mail, or may not have.
    MailFailed {
        /// The mail's id.
        mail_id: MailId,
        /// What this means for the mail.
        failure: MailFailure,
        /// Why.
        reason: MailNote,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The mail is not sent.
    MailSuppressed {
        /// The mail's id.
        mail_id: MailId,
        /// Why.
        cause: SuppressionCause,
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
            Self::MailPreferencesChanged { .. } => "inbox.mail_preferences_changed",
            Self::MailUnsubscribed { .. } => "inbox.mail_unsubscribed",
            Self::MailRequested { .. } => "inbox.mail_requested",
            Self::MailAttempted { .. } => "inbox.mail_attempted",
            Self::MailSent { .. } => "inbox.mail_sent",
            Self::MailFailed { .. } => "inbox.mail_failed",
            Self::MailSuppressed { .. } => "inbox.mail_suppressed",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        match self {
            Self::Notified { .. }
            | Self::Read { .. }
            | Self::AllRead { .. }
            | Self::Dismissed { .. }
            | Self::MailPreferencesChanged { .. }
            | Self::MailUnsubscribed { .. }
            | Self::MailRequested { .. }
            | Self::MailAttempted { .. }
            | Self::MailSent { .. }
            | Self::MailFailed { .. }
            | Self::MailSuppressed { .. } => "1.0",
        }
        .to_owned()
    }
}
