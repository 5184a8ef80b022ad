//! The notification as clients see it.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, Utc};
use domain::inbox as record;

/// Kind of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "NotificationKind", remote = "record::NotificationKind")]
pub(super) enum NotificationKindEnum {
    /// A new opportunity matches.
    OpportunityMatched,
    /// An opportunity that you follow changed.
    OpportunityChanged,
    /// A document was analyzed.
    DocumentAnalysed,
    /// A proposal changed.
    ProposalChanged,
    /// A proposal was generated.
    ProposalGenerated,
    /// A task ended.
    TaskFinished,
    /// A message from the platform.
    System,
}

/// A notification to a user.
#[derive(SimpleObject)]
#[graphql(name = "Notification")]
pub(super) struct NotificationNode {
    /// Id.
    id: String,
    /// Kind.
    kind: NotificationKindEnum,
    /// Title, one line.
    title: String,
    /// Full text.
    body: String,
    /// Link to open: a path within the application.
    link: Option<String>,
    /// Id of the object that the notification is about.
    about: Option<String>,
    /// When it was sent.
    told_at: DateTime<Utc>,
    /// When it was read; null while it is unread.
    read_at: Option<DateTime<Utc>>,
}

impl NotificationNode {
    pub(super) fn from_notification(
        notification: &record::Notification,
        told_at: DateTime<Utc>,
        read_at: Option<DateTime<Utc>>,
    ) -> Self {
        Self {
            id: notification.notification_id.to_string(),
            kind: notification.kind.into(),
            title: notification.title.to_string(),
            body: notification.body.to_string(),
            link: notification.link.as_ref().map(|link| link.as_str().to_owned()),
            about: notification.about.as_ref().map(ToString::to_string),
            told_at,
            read_at,
        }
    }
}
