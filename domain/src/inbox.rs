//! An inbox: what one user was told, until they dismiss it or newer notifications push it out.
//!
//! ```text
//! (unknown) ──notify──▶ unread ──mark read──▶ read
//!                         │                    │
//!                         └──dismiss───────────┴──▶ gone ◀── pushed out by newer ones
//! ```
//!
//! Its stream is the user's within their tenant, so that a user has one inbox from the start, and it is empty. Nothing
//! is ever refused. The diagram is that of one notification: the inbox itself has no phases.

mod command;
mod event;
mod kept;
#[cfg(test)]
mod tests;
mod upcast;
mod value;

use std::{collections::VecDeque, convert::Infallible};

use serde::{Deserialize, Serialize};

pub(crate) use self::upcast::LINEAGES;
pub use self::{
    command::InboxCommand,
    event::InboxEvent,
    kept::Kept,
    value::{
        Link, MAX_MARKED, Notification, NotificationBody, NotificationId, NotificationIds, NotificationKind,
        NotificationTitle, Topic,
    },
};
use crate::aggregate::aggregate;
use crate::value::Stamp;

/// How many notifications one inbox keeps. Those that are told beyond it push the oldest out.
pub const MAX_KEPT: usize = 1_000;

/// How many notifications that are gone an inbox recognises when they are told again: as many as it keeps.
pub const MAX_REMEMBERED: usize = 1_000;

/// State of one user's inbox, rebuilt from its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbox {
    /// In the order of telling, the newest last.
    kept: VecDeque<Kept>,
    /// Those that were dismissed or pushed out, in that order. A delivery that is repeated does not bring them back.
    gone: VecDeque<NotificationId>,
}

impl Inbox {
    /// Decides what a command changes. An empty answer means the wish is already met.
    ///
    /// # Errors
    /// None: there is nothing in an inbox that could be in the way of a wish.
    pub fn decide(&self, command: InboxCommand) -> Result<Vec<InboxEvent>, Infallible> {
        Ok(match command {
            InboxCommand::Notify { notification, .. } if self.knows(notification.notification_id) => vec![],
            InboxCommand::Notify { notification, stamp } => vec![InboxEvent::Notified { notification, stamp }],
            InboxCommand::MarkRead { notification_ids, stamp } => self.mark_read(&notification_ids, stamp),
            InboxCommand::MarkAllRead { .. } if self.unread() == 0 => vec![],
            InboxCommand::MarkAllRead { stamp } => vec![InboxEvent::AllRead { stamp }],
            InboxCommand::Dismiss { notification_id, .. } if self.find(notification_id).is_none() => vec![],
            InboxCommand::Dismiss { notification_id, stamp } => {
                vec![InboxEvent::Dismissed { notification_id, stamp }]
            }
        })
    }

    /// What is kept, the newest last.
    pub fn kept(&self) -> impl ExactSizeIterator<Item = &Kept> + DoubleEndedIterator {
        self.kept.iter()
    }

    /// A notification that is kept.
    pub fn find(&self, id: NotificationId) -> Option<&Kept> {
        // Whoever asks for one saw it lately.
        self.kept.iter().rev().find(|kept| kept.id() == id)
    }

    /// How many of those that are kept nobody has read.
    pub fn unread(&self) -> usize {
        self.kept.iter().filter(|kept| kept.is_unread()).count()
    }

    /// Whether it was told before, as far as an inbox remembers.
    fn knows(&self, id: NotificationId) -> bool {
        self.find(id).is_some() || self.gone.contains(&id)
    }

    /// Ids of what is read or not kept are left out: the user may have seen to it on another screen.
    fn mark_read(&self, ids: &NotificationIds, stamp: Stamp) -> Vec<InboxEvent> {
        let unread = self.kept.iter().filter(|kept| kept.is_unread()).map(Kept::id);
        let notification_ids: Vec<_> = unread.filter(|id| ids.contain(*id)).collect();
        if notification_ids.is_empty() { vec![] } else { vec![InboxEvent::Read { notification_ids, stamp }] }
    }

    /// Folds one event into the state. Never fails and never judges: it happened.
    pub fn evolve(&mut self, event: InboxEvent) {
        match event {
            InboxEvent::Notified { notification, stamp } => self.keep(Kept::told(notification, stamp)),
            InboxEvent::Read { notification_ids, stamp } => {
                let read = self.kept.iter_mut().filter(|kept| notification_ids.contains(&kept.id()));
                read.for_each(|kept| kept.read(stamp.at));
            }
            InboxEvent::AllRead { stamp } => self.kept.iter_mut().for_each(|kept| kept.read(stamp.at)),
            InboxEvent::Dismissed { notification_id, .. } => {
                self.kept.retain(|kept| kept.id() != notification_id);
                self.remember(notification_id);
            }
        }
    }

    fn keep(&mut self, notification: Kept) {
        self.kept.push_back(notification);
        if self.kept.len() > MAX_KEPT
            && let Some(oldest) = self.kept.pop_front()
        {
            self.remember(oldest.id());
        }
    }

    fn remember(&mut self, id: NotificationId) {
        self.gone.push_back(id);
        if self.gone.len() > MAX_REMEMBERED {
            self.gone.pop_front();
        }
    }
}

aggregate!(Inbox, "inbox", InboxCommand, InboxEvent, Infallible);
