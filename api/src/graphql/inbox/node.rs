//! What a frontend sees of a notification.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, Utc};
use domain::inbox as record;

/// What a notification is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "NotificationKind", remote = "record::NotificationKind")]
pub(super) enum NotificationKindEnum {
    /// An opportunity is there that fits.
    OpportunityMatched,
    /// An opportunity that you follow is another one now.
    OpportunityChanged,
    /// A document was read.
    DocumentAnalysed,
    /// A proposal is another one now.
    ProposalChanged,
    /// A proposal was written by the machine.
    ProposalGenerated,
    /// A task came to its end.
    TaskFinished,
    /// The platform itself has something to say.
    System,
}

/// What a user is told.
#[derive(SimpleObject)]
#[graphql(name = "Notification")]
pub(super) struct NotificationNode {
    /// Its id.
    id: String,
    /// What it is about.
    kind: NotificationKindEnum,
    /// What it says in one line.
    title: String,
    /// What it says at length.
    body: String,
    /// Where it leads: a path within the application.
    link: Option<String>,
    /// The id of the very thing that it is about.
    about: Option<String>,
    /// When it was told.
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
