//! The values of mail to the user of an inbox. Each is validated when constructed, not when read back from an event.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::value::{NotificationId, NotificationKind, NotificationLink, NotificationTitle};
use crate::value::{InvalidValue, is_prose, text_value, uuid_id, vocabulary};

/// Maximum number of entries that a daily digest lists.
pub const MAX_DIGEST_ITEMS: usize = 50;

/// Longest address in characters (RFC 5321, 4.5.3.1).
const MAX_ADDRESS: usize = 254;

uuid_id!(
    /// The id of a mail, unique within one inbox. The mail of a notification has the notification's id.
    MailId, "mail id"
);

uuid_id!(
    /// The id of one attempt to deliver a mail.
    MailAttemptId, "attempt id"
);

text_value!(
    /// The name of a time zone of the IANA database, e.g. `America/New_York`.
    TimeZoneName, "time zone", max 60, |c| c.is_ascii_alphanumeric() || "/_+-".contains(c),
    "a name such as America/New_York"
);

text_value!(
    /// What a mail server answered, or why a mail was not delivered.
    MailNote, "note", max 500, is_prose, "text"
);

vocabulary!(
    /// Kinds of mail; a user can stop each of them.
    MailCategory, "mail category" {
        /// Opportunities that match or have changed.
        Opportunities = "opportunities",
        /// Documents that were analysed.
        Documents = "documents",
        /// Proposals that changed or were generated.
        Proposals = "proposals",
        /// Tasks that finished.
        Tasks = "tasks",
        /// Messages of the platform.
        System = "system",
        /// New results of saved searches, once a day.
        DailyDigest = "daily_digest",
    }
);

vocabulary!(
    /// Why an attempt to deliver a mail failed.
    MailFailure, "mail failure" {
        /// It was not accepted now; another attempt follows.
        Postponed = "postponed",
        /// The server does not accept mail for the address. No mail is sent there until the preferences are changed.
        Bounced = "bounced",
        /// The server refused this mail, or it could not be composed.
        Refused = "refused",
        /// It is not known whether the mail was accepted. It is not sent again.
        Unknown = "unknown",
        /// It was postponed too often.
        Abandoned = "abandoned",
    }
);

vocabulary!(
    /// Why a requested mail is not sent.
    SuppressionCause, "cause" {
        /// The user stopped mail of this category.
        Unsubscribed = "unsubscribed",
        /// Mail to the address bounced.
        Bounced = "bounced",
        /// The notification was dismissed or read before the mail was sent.
        Handled = "handled",
        /// Too many mails wait to be sent to this user.
        TooMany = "too_many",
        /// It was requested too long ago, for example while there was no mail server.
        Expired = "expired",
        /// The user no longer belongs to the company, or the company was closed.
        NotAMember = "not_a_member",
    }
);

/// A mail address, without a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MailAddress(String);

impl MailAddress {
    /// Parses an address such as `ann@clinic.example`: printable ASCII with one `@`.
    ///
    /// # Errors
    /// [`InvalidValue`] when the text is empty, too long, or has another form.
    pub fn try_new(address: &str) -> Result<Self, InvalidValue> {
        const WHAT: &str = "mail address";
        let address = address.trim();
        if address.is_empty() {
            return Err(InvalidValue::Empty { what: WHAT });
        }
        if address.chars().count() > MAX_ADDRESS {
            return Err(InvalidValue::TooLong { what: WHAT, max: MAX_ADDRESS });
        }
        let is_plain = address.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>()[]\\,;:\"".contains(&byte));
        match address.split_once('@') {
            Some((user, host)) if is_plain && !user.is_empty() && is_host_name(host) => Ok(Self(address.to_owned())),
            _ => Err(InvalidValue::malformed(WHAT, address, "an address such as ann@clinic.example")),
        }
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_host_name(host: &str) -> bool {
    host.split('.')
        .all(|label| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
}

impl MailNote {
    /// A note that is fixed in the code.
    pub fn from_program(note: &'static str) -> Self {
        Self(note.to_owned())
    }
}

/// The local hour of the daily digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DigestHour(u8);

impl DigestHour {
    /// The hour, 0 to 23.
    ///
    /// # Errors
    /// [`InvalidValue`] for another number.
    pub fn try_new(hour: u8) -> Result<Self, InvalidValue> {
        if hour < 24 {
            Ok(Self(hour))
        } else {
            Err(InvalidValue::malformed("hour", &hour.to_string(), "a number from 0 to 23"))
        }
    }

    /// The hour as a number.
    pub fn number(self) -> u8 {
        self.0
    }
}

/// Where and when a user receives mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailPreferences {
    /// The address.
    pub address: MailAddress,
    /// The time zone of the daily digest.
    pub time_zone: TimeZoneName,
    /// The local hour of the daily digest.
    pub digest_hour: DigestHour,
    /// The categories that the user does not want.
    pub unsubscribed: BTreeSet<MailCategory>,
}

/// A mail to be sent: about a notification, or a daily digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedMail {
    /// The mail's id.
    pub mail_id: MailId,
    /// The category, which the user can stop.
    pub category: MailCategory,
    /// The notification that it is about. What the mail says is read from the inbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_id: Option<NotificationId>,
    /// The digest that it contains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<DailyDigest>,
}

/// New results of a user's saved searches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DailyDigest {
    /// The day, in the user's time zone. There is one digest a day.
    pub date: NaiveDate,
    /// Results up to this time are covered: the next digest begins after it.
    pub covered_until: DateTime<Utc>,
    /// The results, at most [`MAX_DIGEST_ITEMS`].
    pub items: Vec<DigestItem>,
    /// Number of further results.
    pub more: u64,
}

/// A result in a daily digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestItem {
    /// The opportunity's title.
    pub title: NotificationTitle,
    /// The name of the saved search.
    pub search: NotificationTitle,
    /// The path of the opportunity's page.
    pub link: NotificationLink,
}

/// How an attempt to deliver a mail ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailOutcome {
    /// The server accepted it.
    Sent {
        /// The server's answer.
        answer: MailNote,
    },
    /// The server did not accept it, or may not have.
    Failed {
        /// What this means for the mail.
        failure: MailFailure,
        /// Why.
        reason: MailNote,
    },
}

impl MailCategory {
    /// The category of the mail of a notification.
    pub fn from_notification_kind(kind: NotificationKind) -> Self {
        match kind {
            NotificationKind::OpportunityMatched | NotificationKind::OpportunityChanged => Self::Opportunities,
            NotificationKind::DocumentAnalysed => Self::Documents,
            NotificationKind::ProposalChanged | NotificationKind::ProposalGenerated => Self::Proposals,
            NotificationKind::TaskFinished => Self::Tasks,
            NotificationKind::System => Self::System,
        }
    }
}
