//! What a notification is made of; each value checks itself when made, not when read back from an event.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::value::{InvalidValue, is_prose, text_value, uuid_id, vocabulary};

/// How many notifications one wish marks as read, at most.
pub const MAX_MARKED_READ: usize = 100;

/// Longest link in characters.
const MAX_LINK: usize = 500;

uuid_id!(
    /// A notification, within the inbox of one user.
    NotificationId, "notification id"
);

vocabulary!(
    /// What a notification is about.
    NotificationKind, "kind of notification" {
        /// An opportunity is there that fits.
        OpportunityMatched = "opportunity_matched",
        /// An opportunity that the user follows is another one now.
        OpportunityChanged = "opportunity_changed",
        /// A document was read.
        DocumentAnalysed = "document_analysed",
        /// A proposal is another one now.
        ProposalChanged = "proposal_changed",
        /// A proposal was written by the machine.
        ProposalGenerated = "proposal_generated",
        /// A task came to its end.
        TaskFinished = "task_finished",
        /// The platform itself has something to say.
        System = "system",
    }
);

text_value!(
    /// What a notification says in one line.
    NotificationTitle, "title", max 200, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// What a notification says at length.
    NotificationBody, "body", max 2_000, is_prose, "text"
);

text_value!(
    /// What a notification is about, by its id, e.g. `036:36C10G26R0005`.
    NotificationTopic, "topic", max 200, |c| !c.is_control(), "text on one line"
);

/// Where a notification leads: a path within the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NotificationLink(String);

impl NotificationLink {
    /// Reads a path from the root on, e.g. `/opportunities/036:36C10G26R0005`.
    ///
    /// # Errors
    /// [`InvalidValue`] when it is empty, too long, or leads out of the application.
    pub fn try_new(path: &str) -> Result<Self, InvalidValue> {
        let path = path.trim();
        if path.is_empty() {
            return Err(InvalidValue::Empty { what: "link" });
        }
        if path.chars().count() > MAX_LINK {
            return Err(InvalidValue::TooLong { what: "link", max: MAX_LINK });
        }
        // Browsers take `//host` and `/\host` for another site.
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

/// What a user is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Tells a repetition from another one.
    pub notification_id: NotificationId,
    /// What it is about.
    pub kind: NotificationKind,
    /// What it says in one line.
    pub title: NotificationTitle,
    /// What it says at length.
    pub body: NotificationBody,
    /// Where it leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<NotificationLink>,
    /// The very thing that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<NotificationTopic>,
}

/// Some notifications, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotificationIds(BTreeSet<NotificationId>);

impl NotificationIds {
    /// These ones.
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

    /// Whether that one is among them.
    pub fn contains(&self, id: NotificationId) -> bool {
        self.0.contains(&id)
    }
}
