//! The mail of an inbox: the user's preferences, and the mails that are requested and not yet sent or given up.
//!
//! ```text
//! requested ──attempt──▶ attempted ──▶ sent, refused, bounced, abandoned
//!     │  ▲                  │ │
//!     │  └────postponed─────┘ └─another attempt begins──▶ unknown
//!     └──▶ suppressed
//! ```
//!
//! An attempt is recorded before the mail is handed to a server. An attempt without an outcome, because its program died
//! or could not record it, may have delivered the mail, so no other one follows.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{
    event::InboxEvent,
    mail::{
        MailAddress, MailAttemptId, MailCategory, MailFailure, MailId, MailNote, MailOutcome, MailPreferences,
        RequestedMail, SuppressionCause,
    },
    value::Notification,
};
use crate::value::AuditStamp;

/// Maximum number of mails of one inbox that wait to be sent. Further ones are suppressed.
pub const MAX_OPEN_MAILS: usize = 100;

/// How long after its request the first attempt at a mail may begin.
const MAX_AGE: TimeDelta = TimeDelta::days(3);

/// Mail of one inbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailState {
    /// `None` until the user has named an address: no mail is requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preferences: Option<MailPreferences>,
    /// Whether the server has refused the address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    has_bounced: bool,
    /// The last digest that was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_digest: Option<LastDigest>,
    /// Mails that are neither sent nor given up, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    open: Vec<OpenMail>,
}

/// The last daily digest that was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastDigest {
    /// Its day, in the user's time zone.
    pub date: NaiveDate,
    /// Results up to this time were covered.
    pub covered_until: DateTime<Utc>,
}

/// A mail that is neither sent nor given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenMail {
    /// The mail.
    pub mail: RequestedMail,
    /// When it was requested.
    pub requested_at: DateTime<Utc>,
    /// Number of attempts, with the one in progress.
    #[serde(default)]
    pub attempts: u32,
    /// The attempt that has no outcome yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<MailAttemptId>,
    /// The address of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<MailAddress>,
}

impl MailState {
    /// The user's preferences, if there are any.
    pub fn preferences(&self) -> Option<&MailPreferences> {
        self.preferences.as_ref()
    }

    /// Whether mail to the address bounced since the preferences were changed.
    pub fn has_bounced(&self) -> bool {
        self.has_bounced
    }

    /// The last daily digest that was requested.
    pub fn last_digest(&self) -> Option<LastDigest> {
        self.last_digest
    }

    /// Whether a mail of this category would be requested: the user wants it, and the address did not bounce.
    pub fn accepts(&self, category: MailCategory) -> bool {
        !self.has_bounced && self.is_subscribed_to(category)
    }

    /// The mail with that id, if it is neither sent nor given up.
    pub fn find_open(&self, id: MailId) -> Option<&OpenMail> {
        self.open.iter().find(|open| open.mail.mail_id == id)
    }

    /// Whether there is nothing to store.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn change_preferences(&self, preferences: MailPreferences, stamp: AuditStamp) -> Vec<InboxEvent> {
        if self.preferences.as_ref() == Some(&preferences) && !self.has_bounced {
            return vec![];
        }
        vec![InboxEvent::MailPreferencesChanged { preferences, stamp }]
    }

    pub(super) fn unsubscribe(&self, category: MailCategory, stamp: AuditStamp) -> Vec<InboxEvent> {
        if self.is_subscribed_to(category) { vec![InboxEvent::MailUnsubscribed { category, stamp }] } else { vec![] }
    }

    /// Requests the mail of a notification, if the user wants it.
    pub(super) fn request_notification(&self, notification: &Notification, stamp: &AuditStamp) -> Option<InboxEvent> {
        self.request(
            RequestedMail {
                mail_id: MailId::new(notification.notification_id.uuid()),
                category: MailCategory::from_notification_kind(notification.kind),
                notification_id: Some(notification.notification_id),
                digest: None,
            },
            stamp,
        )
    }

    /// Requests a daily digest, if the user wants it and had none on that day or a later one.
    pub(super) fn request_digest(&self, mail: RequestedMail, stamp: &AuditStamp) -> Option<InboxEvent> {
        let digest = mail.digest.as_ref()?;
        let is_repeated = self.last_digest.is_some_and(|last| last.date >= digest.date);
        let is_empty = digest.items.is_empty() && digest.more == 0;
        if is_repeated || is_empty { None } else { self.request(mail, stamp) }
    }

    fn request(&self, mail: RequestedMail, stamp: &AuditStamp) -> Option<InboxEvent> {
        if !self.accepts(mail.category) || self.find_open(mail.mail_id).is_some() {
            return None;
        }
        let stamp = stamp.clone();
        Some(if self.open.len() >= MAX_OPEN_MAILS {
            InboxEvent::MailSuppressed { mail_id: mail.mail_id, cause: SuppressionCause::TooMany, stamp }
        } else {
            InboxEvent::MailRequested { mail, stamp }
        })
    }

    /// Begins an attempt; an `obstacle` is why the mail may not be sent.
    pub(super) fn start_attempt(
        &self,
        mail_id: MailId,
        attempt_id: MailAttemptId,
        obstacle: Option<SuppressionCause>,
        stamp: AuditStamp,
    ) -> Vec<InboxEvent> {
        let (Some(open), Some(preferences)) = (self.find_open(mail_id), &self.preferences) else { return vec![] };
        let suppression = if self.has_bounced {
            Some(SuppressionCause::Bounced)
        } else if !self.is_subscribed_to(open.mail.category) {
            Some(SuppressionCause::Unsubscribed)
        } else {
            let is_late = stamp.at.signed_duration_since(open.requested_at) > MAX_AGE;
            obstacle.or(is_late.then_some(SuppressionCause::Expired))
        };
        vec![match (open.attempt, suppression) {
            (Some(running), _) if running == attempt_id => return vec![],
            (Some(_), _) => InboxEvent::MailFailed {
                mail_id,
                failure: MailFailure::Unknown,
                reason: MailNote::from_program("an earlier attempt has no outcome on record"),
                stamp,
            },
            (None, Some(cause)) => InboxEvent::MailSuppressed { mail_id, cause, stamp },
            (None, None) => {
                InboxEvent::MailAttempted { mail_id, attempt_id, address: preferences.address.clone(), stamp }
            }
        }]
    }

    pub(super) fn record_outcome(
        &self,
        mail_id: MailId,
        attempt_id: MailAttemptId,
        outcome: MailOutcome,
        stamp: AuditStamp,
    ) -> Vec<InboxEvent> {
        if self.find_open(mail_id).is_none_or(|open| open.attempt != Some(attempt_id)) {
            return vec![];
        }
        vec![match outcome {
            MailOutcome::Sent { answer } => InboxEvent::MailSent { mail_id, answer, stamp },
            MailOutcome::Failed { failure, reason } => InboxEvent::MailFailed { mail_id, failure, reason, stamp },
        }]
    }

    fn is_subscribed_to(&self, category: MailCategory) -> bool {
        self.preferences.as_ref().is_some_and(|preferences| !preferences.unsubscribed.contains(&category))
    }

    pub(super) fn set_preferences(&mut self, preferences: MailPreferences) {
        self.preferences = Some(preferences);
        self.has_bounced = false;
    }

    pub(super) fn add_unsubscribed(&mut self, category: MailCategory) {
        if let Some(preferences) = &mut self.preferences {
            preferences.unsubscribed.insert(category);
        }
    }

    pub(super) fn add_open(&mut self, mail: RequestedMail, requested_at: DateTime<Utc>) {
        if let Some(digest) = &mail.digest {
            self.last_digest = Some(LastDigest { date: digest.date, covered_until: digest.covered_until });
        }
        self.open.push(OpenMail { mail, requested_at, attempts: 0, attempt: None, address: None });
    }

    pub(super) fn begin_attempt(&mut self, mail_id: MailId, attempt_id: MailAttemptId, address: MailAddress) {
        if let Some(open) = self.open.iter_mut().find(|open| open.mail.mail_id == mail_id) {
            open.attempts = open.attempts.saturating_add(1);
            open.attempt = Some(attempt_id);
            open.address = Some(address);
        }
    }

    pub(super) fn fail(&mut self, mail_id: MailId, failure: MailFailure) {
        match failure {
            MailFailure::Postponed => {
                if let Some(open) = self.open.iter_mut().find(|open| open.mail.mail_id == mail_id) {
                    open.attempt = None;
                }
            }
            MailFailure::Bounced => {
                // The user may have set another address meanwhile, which did not bounce.
                let current = self.preferences.as_ref().map(|preferences| &preferences.address);
                let attempted = self.find_open(mail_id).and_then(|open| open.address.as_ref());
                self.has_bounced |= attempted.is_none() || attempted == current;
                self.close(mail_id);
            }
            MailFailure::Refused | MailFailure::Unknown | MailFailure::Abandoned => self.close(mail_id),
        }
    }

    pub(super) fn close(&mut self, mail_id: MailId) {
        self.open.retain(|open| open.mail.mail_id != mail_id);
    }
}
