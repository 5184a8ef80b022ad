//! The events of an inbox.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version with an upcaster, in `event_versions!`; `schemas/README.md` lists the
//! other steps.

use serde::{Deserialize, Serialize};

use super::{
    mail::{
        MailAddress, MailAttemptId, MailCategory, MailFailure, MailId, MailNote, MailPreferences, RequestedMail,
        SuppressionCause,
    },
    value::{Notification, NotificationId},
};
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

event_versions! {
    InboxEvent {
        Notified => "inbox.notified", "1.0";
        Read => "inbox.read", "1.0";
        AllRead => "inbox.all_read", "1.0";
        Dismissed => "inbox.dismissed", "1.0";
        MailPreferencesChanged => "inbox.mail_preferences_changed", "1.0";
        MailUnsubscribed => "inbox.mail_unsubscribed", "1.0";
        MailRequested => "inbox.mail_requested", "1.0";
        MailAttempted => "inbox.mail_attempted", "1.0";
        MailSent => "inbox.mail_sent", "1.0";
        MailFailed => "inbox.mail_failed", "1.0";
        MailSuppressed => "inbox.mail_suppressed", "1.0";
    }
}
