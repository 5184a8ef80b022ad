//! The values of a notification. Each is validated when constructed, not when read back from an event.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::value::{InvalidValue, is_prose, text_value, uuid_id, vocabulary};

/// Maximum number of notifications that one command marks as read.
pub const MAX_MARKED_READ: usize = 100;

/// Maximum length of a link in characters.
const MAX_LINK: usize = 500;

uuid_id!(
    /// The id of a notification, unique within one inbox.
    NotificationId, "notification id"
);

vocabulary!(
    /// What a notification is about.
    NotificationKind, "kind of notification" {
        /// A matching opportunity was found.
        OpportunityMatched = "opportunity_matched",
        /// An opportunity that the user follows changed.
        OpportunityChanged = "opportunity_changed",
        /// A document was analysed.
        DocumentAnalysed = "document_analysed",
        /// A proposal changed.
        ProposalChanged = "proposal_changed",
        /// A proposal was generated.
        ProposalGenerated = "proposal_generated",
        /// A task finished.
        TaskFinished = "task_finished",
        /// A message of the platform.
        System = "system",
    }
);

text_value!(
    /// The title of a notification, on one line.
    NotificationTitle, "title", max 200, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// The text of a notification.
    NotificationBody, "body", max 2_000, is_prose, "text"
);

text_value!(
    /// The id of the object that a notification is about, e.g. `036:36C10G26R0005`.
    NotificationTopic, "topic", max 200, |c| !c.is_control(), "text on one line"
);

/// The link of a notification: a path within the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NotificationLink(String);

impl NotificationLink {
    /// Parses an absolute path, e.g. `/opportunities/036:36C10G26R0005`.
    ///
    /// # Errors
    /// [`InvalidValue`] when the path is empty, too long, or leads out of the application.
    pub fn try_new(path: &str) -> Result<Self, InvalidValue> {
        let path = path.trim();
        if path.is_empty() {
            return Err(InvalidValue::Empty { what: "link" });
        }
        if path.chars().count() > MAX_LINK {
            return Err(InvalidValue::TooLong { what: "link", max: MAX_LINK });
        }
        // Browsers interpret `//host` and `/\host` as another site.
        let is_inside = path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
        if !is_inside || path.chars().any(char::is_control) {
            return Err(InvalidValue::malformed("link", path, "a path beginning with one slash"));
        }
        Ok(Self(path.to_owned()))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A notification to a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The notification's id; a repetition has the same one.
    pub notification_id: NotificationId,
    /// The kind of the notification.
    pub kind: NotificationKind,
    /// The title, on one line.
    pub title: NotificationTitle,
    /// The text.
    pub body: NotificationBody,
    /// The path of the page that it links to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<NotificationLink>,
    /// The id of the object that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<NotificationTopic>,
}

impl Notification {
    /// A notification with what every one has; the rest is empty.
    pub fn new(
        notification_id: NotificationId,
        kind: NotificationKind,
        title: NotificationTitle,
        body: NotificationBody,
    ) -> Self {
        Self { notification_id, kind, title, body, link: None, about: None }
    }
}

/// Ids of notifications, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotificationIds(BTreeSet<NotificationId>);

impl NotificationIds {
    /// Creates the set; repeated ids count once.
    ///
    /// # Errors
    /// [`InvalidValue`] for more than [`MAX_MARKED_READ`].
    pub fn try_new(ids: impl IntoIterator<Item = NotificationId>) -> Result<Self, InvalidValue> {
        let ids: BTreeSet<_> = ids.into_iter().collect();
        if ids.len() > MAX_MARKED_READ {
            return Err(InvalidValue::TooMany { what: "notifications", max: MAX_MARKED_READ });
        }
        Ok(Self(ids))
    }

    /// Whether the set contains the id.
    pub fn contains(&self, id: NotificationId) -> bool {
        self.0.contains(&id)
    }
}
