//! The commands of an inbox.

use super::{
    mail::{MailAttemptId, MailCategory, MailId, MailOutcome, MailPreferences, RequestedMail, SuppressionCause},
    value::{Notification, NotificationId, NotificationIds},
};
use crate::value::AuditStamp;

/// A command for one user's inbox. Never refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboxCommand {
    /// Notifies the user, at most once: an id that was sent before changes nothing, even with other content.
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
    /// Replaces the user's preferences of mail.
    ChangeMailPreferences {
        /// The new preferences, complete.
        preferences: MailPreferences,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Stops mail of one category.
    UnsubscribeMail {
        /// The category.
        category: MailCategory,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Requests a daily digest, unless there was one on that day.
    RequestDigest {
        /// The mail, with its digest.
        mail: Box<RequestedMail>,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Begins an attempt to deliver a mail. Only if [`MailAttempted`](super::InboxEvent::MailAttempted) is recorded with
    /// this attempt, the mail may be sent.
    StartMailAttempt {
        /// The mail's id.
        mail_id: MailId,
        /// The attempt's id.
        attempt_id: MailAttemptId,
        /// Why the mail may not be sent, if something outside of the inbox forbids it.
        obstacle: Option<SuppressionCause>,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Records how an attempt ended.
    RecordMailOutcome {
        /// The mail's id.
        mail_id: MailId,
        /// The attempt's id.
        attempt_id: MailAttemptId,
        /// How it ended.
        outcome: MailOutcome,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
}
