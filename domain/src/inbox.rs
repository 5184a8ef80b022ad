//! An inbox: the notifications of one user, until they are dismissed or newer ones replace them.
//!
//! ```text
//! (unknown) ──notify──▶ unread ──mark read──▶ read
//!                         │                    │
//!                         └──dismiss───────────┴──▶ removed ◀── replaced by newer ones
//! ```
//!
//! A user who has named an address also receives notifications by mail; `mail_state.rs` has the states of a mail.
//!
//! The stream id is made of tenant and user, so every user has an inbox from the start; without events it is empty.
//! No command is ever refused. The diagram shows one notification: the inbox itself has no phases.

mod command;
mod entry;
mod event;
mod mail;
mod mail_state;
#[cfg(test)]
mod tests;
mod value;

use std::{collections::VecDeque, convert::Infallible};

use serde::{Deserialize, Serialize};

pub use self::{
    command::InboxCommand,
    entry::InboxEntry,
    event::InboxEvent,
    mail::{
        DailyDigest, DigestHour, DigestItem, MAX_DIGEST_ITEMS, MailAddress, MailAttemptId, MailCategory, MailFailure,
        MailId, MailNote, MailOutcome, MailPreferences, RequestedMail, SuppressionCause, TimeZoneName,
    },
    mail_state::{LastDigest, MAX_OPEN_MAILS, MailState, OpenMail},
    value::{
        MAX_MARKED_READ, Notification, NotificationBody, NotificationId, NotificationIds, NotificationKind,
        NotificationLink, NotificationTitle, NotificationTopic,
    },
};
use crate::aggregate::aggregate;
use crate::value::AuditStamp;

/// Maximum number of notifications in one inbox. A further one removes the oldest.
pub const MAX_ENTRIES: usize = 1_000;

/// Number of removed notifications whose ids an inbox stores, to ignore them when they are sent again.
pub const MAX_REMOVED_IDS: usize = 1_000;

/// State of one user's inbox, rebuilt from its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbox {
    /// In the order of arrival; the newest is last.
    #[serde(rename = "kept")]
    entries: VecDeque<InboxEntry>,
    /// Ids of dismissed and replaced notifications in the order of their removal. A repeated `Notify` does not add them
    /// again.
    #[serde(rename = "gone")]
    removed_ids: VecDeque<NotificationId>,
    /// Mail to the user.
    #[serde(default, rename = "mailbox", skip_serializing_if = "MailState::is_empty")]
    mail_state: MailState,
}

impl Inbox {
    /// Decides which events a command leads to; none if it changes nothing.
    ///
    /// # Errors
    /// None: no state of an inbox forbids a command.
    pub fn decide(&self, command: InboxCommand) -> Result<Vec<InboxEvent>, Infallible> {
        Ok(match command {
            InboxCommand::Notify { notification, .. } if self.is_known(notification.notification_id) => vec![],
            InboxCommand::Notify { notification, stamp } => {
                let mail = self.mail_state.request_notification(&notification, &stamp);
                [Some(InboxEvent::Notified { notification, stamp }), mail].into_iter().flatten().collect()
            }
            InboxCommand::MarkRead { notification_ids, stamp } => self.mark_read(&notification_ids, stamp),
            InboxCommand::MarkAllRead { .. } if self.unread_count() == 0 => vec![],
            InboxCommand::MarkAllRead { stamp } => vec![InboxEvent::AllRead { stamp }],
            InboxCommand::Dismiss { notification_id, .. } if self.find_entry(notification_id).is_none() => vec![],
            InboxCommand::Dismiss { notification_id, stamp } => {
                vec![InboxEvent::Dismissed { notification_id, stamp }]
            }
            InboxCommand::ChangeMailPreferences { preferences, stamp } => {
                self.mail_state.change_preferences(preferences, stamp)
            }
            InboxCommand::UnsubscribeMail { category, stamp } => self.mail_state.unsubscribe(category, stamp),
            InboxCommand::RequestDigest { mail, stamp } => {
                self.mail_state.request_digest(*mail, &stamp).into_iter().collect()
            }
            InboxCommand::StartMailAttempt { mail_id, attempt_id, obstacle, stamp } => {
                let handled = self.is_handled(mail_id).then_some(SuppressionCause::Handled);
                self.mail_state.start_attempt(mail_id, attempt_id, obstacle.or(handled), stamp)
            }
            InboxCommand::RecordMailOutcome { mail_id, attempt_id, outcome, stamp } => {
                self.mail_state.record_outcome(mail_id, attempt_id, outcome, stamp)
            }
        })
    }

    /// The notifications in the inbox, the newest last.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &InboxEntry> + DoubleEndedIterator {
        self.entries.iter()
    }

    /// The notification with that id, if it is in the inbox.
    pub fn find_entry(&self, id: NotificationId) -> Option<&InboxEntry> {
        // Newest first: callers mostly look for a recent one.
        self.entries.iter().rev().find(|entry| entry.id() == id)
    }

    /// Mail to the user.
    pub fn mail_state(&self) -> &MailState {
        &self.mail_state
    }

    /// Whether the notification that a mail is about is read or no longer in the inbox.
    fn is_handled(&self, mail_id: MailId) -> bool {
        let about = self.mail_state.find_open(mail_id).and_then(|open| open.mail.notification_id);
        about.is_some_and(|id| self.find_entry(id).is_none_or(|entry| !entry.is_unread()))
    }

    /// The number of unread notifications.
    pub fn unread_count(&self) -> usize {
        self.entries.iter().filter(|entry| entry.is_unread()).count()
    }

    /// Whether the id is in the inbox or among the stored removed ids.
    fn is_known(&self, id: NotificationId) -> bool {
        self.find_entry(id).is_some() || self.removed_ids.contains(&id)
    }

    /// Ignores ids that are read already or not in the inbox: the user may have handled them on another device.
    fn mark_read(&self, ids: &NotificationIds, stamp: AuditStamp) -> Vec<InboxEvent> {
        let unread = self.entries.iter().filter(|entry| entry.is_unread()).map(InboxEntry::id);
        let notification_ids: Vec<_> = unread.filter(|id| ids.contains(*id)).collect();
        if notification_ids.is_empty() { vec![] } else { vec![InboxEvent::Read { notification_ids, stamp }] }
    }

    /// Folds one event into the state. Never fails and checks no rules, since the event is recorded.
    pub fn evolve(&mut self, event: InboxEvent) {
        match event {
            InboxEvent::Notified { notification, stamp } => self.add_entry(InboxEntry::new(notification, stamp)),
            InboxEvent::Read { notification_ids, stamp } => {
                let read = self.entries.iter_mut().filter(|entry| notification_ids.contains(&entry.id()));
                read.for_each(|entry| entry.mark_read(stamp.at));
            }
            InboxEvent::AllRead { stamp } => self.entries.iter_mut().for_each(|entry| entry.mark_read(stamp.at)),
            InboxEvent::Dismissed { notification_id, .. } => {
                self.entries.retain(|entry| entry.id() != notification_id);
                self.remember_removed(notification_id);
            }
            InboxEvent::MailPreferencesChanged { preferences, .. } => self.mail_state.set_preferences(preferences),
            InboxEvent::MailUnsubscribed { category, .. } => self.mail_state.add_unsubscribed(category),
            InboxEvent::MailRequested { mail, stamp } => self.mail_state.add_open(mail, stamp.at),
            InboxEvent::MailAttempted { mail_id, attempt_id, address, .. } => {
                self.mail_state.begin_attempt(mail_id, attempt_id, address);
            }
            InboxEvent::MailFailed { mail_id, failure, .. } => self.mail_state.fail(mail_id, failure),
            InboxEvent::MailSent { mail_id, .. } | InboxEvent::MailSuppressed { mail_id, .. } => {
                self.mail_state.close(mail_id);
            }
        }
    }

    fn add_entry(&mut self, entry: InboxEntry) {
        self.entries.push_back(entry);
        if self.entries.len() > MAX_ENTRIES
            && let Some(oldest) = self.entries.pop_front()
        {
            self.remember_removed(oldest.id());
        }
    }

    fn remember_removed(&mut self, id: NotificationId) {
        self.removed_ids.push_back(id);
        if self.removed_ids.len() > MAX_REMOVED_IDS {
            self.removed_ids.pop_front();
        }
    }
}

aggregate!(Inbox, "inbox", InboxCommand, InboxEvent, Infallible);
