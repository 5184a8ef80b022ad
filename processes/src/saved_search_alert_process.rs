//! Alerts of saved searches: notifies the user of new matches, one by one up to a limit, and of the others together.
//!
//! ```text
//!               matched                                            end of the hour
//! NotStarted ───────────▶ Open ──────────────────────────────────────────────────▶ Closed
//!                          │ ▲ matched: notify, or count it beyond the limit │ notify of those that were counted
//!                          └─┘                                               ▼
//! ```
//!
//! An instance is the alerts of one search in one hour. Its inputs are no events of the log but matches that
//! `saved_search_matching` finds and records in the same transaction ([`InputSession`](crate::InputSession)). A search
//! that is removed, or whose user leaves the company, has its open instances cancelled. One that begins again within
//! the hour has a further instance.
//!
//! Each match is announced, or left to the digest, as the search says when it is found: its user may change that within
//! the hour.

#[cfg(test)]
mod tests;

use std::time::Duration;

use domain::{
    context::BoundedContext,
    envelope::{EventDecodeError, RawEnvelope},
    inbox::{
        Notification, NotificationBody, NotificationId, NotificationKind, NotificationLink, NotificationTitle,
        NotificationTopic,
    },
    value::UserId,
    watchlist::{NotificationFrequency, SearchId},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{InstanceSelector, Process, ProcessCommand, ProcessInput, ProcessReaction};

/// How many matches of a search are announced one by one within an hour.
pub const MAX_ALERTS_PER_HOUR: u32 = 20;

/// How many matches of a search are recorded one by one within an hour; the others are counted.
pub const MAX_RECORDED_PER_HOUR: u32 = 200;

/// Namespace of the ids of notifications, which are derived from search and opportunity: a repetition has the same.
const ID_NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6468_7562_5f73_6176_6564_5f73_6561);

/// Name of the timer that ends the hour.
const HOUR_TIMER: &str = "hour";

/// The state of the alerts of one search in one hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum SavedSearchAlertProcess {
    /// Nothing has matched.
    #[default]
    NotStarted,
    /// The hour has not ended.
    Open {
        /// The search, as of its last match.
        search: AlertedSearch,
        /// Number of matches that are recorded one by one.
        recorded: u32,
        /// Number of matches that were announced one by one.
        announced: u32,
        /// Number of matches to announce together. Matches for a digest are not among them.
        more: u64,
    },
    /// The hour has ended, or the search.
    Closed,
}

/// What the process has to know of a search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertedSearch {
    /// The search's id.
    pub search_id: SearchId,
    /// Its name.
    pub name: String,
    /// The user who saved it.
    pub user: UserId,
    /// When the user is notified.
    pub notify: NotificationFrequency,
    /// Identifies the hour, and the instance in it, among the hours and instances of the search.
    pub window: String,
}

/// A new match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SavedSearchMatch {
    /// An opportunity, whose match is recorded.
    Opportunity(MatchAnnouncement),
    /// Further opportunities, whose matches are only counted.
    More(u64),
}

/// What a notification says about an opportunity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchAnnouncement {
    /// The opportunity's id.
    pub opportunity_id: String,
    /// Its title.
    pub title: String,
    /// What it is, in a sentence.
    pub summary: String,
}

/// An input of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedSearchAlertInput {
    /// The search.
    pub search: AlertedSearch,
    /// The match.
    pub found: SavedSearchMatch,
}

impl SavedSearchAlertProcess {
    /// How many further matches may be recorded one by one within the hour.
    pub fn recordable_matches(&self) -> u32 {
        match self {
            Self::NotStarted => MAX_RECORDED_PER_HOUR,
            Self::Open { recorded, .. } => MAX_RECORDED_PER_HOUR.saturating_sub(*recorded),
            Self::Closed => 0,
        }
    }
}

impl Process for SavedSearchAlertProcess {
    const NAME: &'static str = "saved-search-alerts";

    const USER_ID: &'static str = "system:saved-search-alerts";

    type Event = SavedSearchAlertInput;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        &[BoundedContext::Opportunities, BoundedContext::System]
    }

    /// Its inputs are matches, not events.
    fn interpret(_event: &RawEnvelope) -> Result<Option<(InstanceSelector, SavedSearchAlertInput)>, EventDecodeError> {
        Ok(None)
    }

    fn is_start(_event: &SavedSearchAlertInput) -> bool {
        true
    }

    fn react(&self, input: ProcessInput<'_, SavedSearchAlertInput>) -> ProcessReaction<Self> {
        match (self, input) {
            (Self::NotStarted, ProcessInput::Event(SavedSearchAlertInput { search, found })) => {
                add_match(search, (0, 0, 0), found).with_timer(HOUR_TIMER, Duration::from_hours(1))
            }
            (
                Self::Open { recorded, announced, more, .. },
                ProcessInput::Event(SavedSearchAlertInput { search, found }),
            ) => add_match(search, (*recorded, *announced, *more), found),
            (Self::Open { search, more, .. }, ProcessInput::Timeout(_)) => {
                ProcessReaction::move_to(Self::Closed).with_commands(announce_together(search, *more))
            }
            (Self::Open { .. }, ProcessInput::Cancelled { .. }) => ProcessReaction::move_to(Self::Closed),
            // No inbox refuses a notification; a notification whose idempotency key another caller has used is lost.
            (Self::Open { .. }, ProcessInput::CommandRefused { .. }) | (Self::NotStarted | Self::Closed, _) => {
                ProcessReaction::none()
            }
        }
    }

    fn waits_for(&self) -> Option<&'static str> {
        match self {
            Self::NotStarted => Some("the first match"),
            Self::Open { .. } => Some("the end of the hour"),
            Self::Closed => None,
        }
    }
}

/// Adds a match to the numbers that are recorded, announced, and to announce together.
fn add_match(
    search: &AlertedSearch,
    (recorded, announced, more): (u32, u32, u64),
    found: &SavedSearchMatch,
) -> ProcessReaction<SavedSearchAlertProcess> {
    let open = |recorded, announced, more| {
        ProcessReaction::move_to(SavedSearchAlertProcess::Open { search: search.clone(), recorded, announced, more })
    };
    let is_at_once = search.notify == NotificationFrequency::AtOnce;
    match found {
        SavedSearchMatch::More(count) if is_at_once => open(recorded, announced, more.saturating_add(*count)),
        SavedSearchMatch::More(_) => open(recorded, announced, more),
        SavedSearchMatch::Opportunity(_) if !is_at_once => open(recorded.saturating_add(1), announced, more),
        SavedSearchMatch::Opportunity(opportunity) if announced < MAX_ALERTS_PER_HOUR => {
            open(recorded.saturating_add(1), announced + 1, more)
                .with_commands(announce_opportunity(search, opportunity))
        }
        SavedSearchMatch::Opportunity(_) => open(recorded.saturating_add(1), announced, more.saturating_add(1)),
    }
}

fn announce_opportunity(search: &AlertedSearch, opportunity: &MatchAnnouncement) -> Option<ProcessCommand> {
    let id = &opportunity.opportunity_id;
    notify_user(search, id, &format!("{}: {}", search.name, opportunity.title), &opportunity.summary, Some(id))
}

/// Notifies of matches that were not announced one by one; there is nothing to say about none.
fn announce_together(search: &AlertedSearch, more: u64) -> Option<ProcessCommand> {
    if more == 0 {
        return None;
    }
    let (noun, verb) = if more == 1 { ("opportunity", "matches") } else { ("opportunities", "match") };
    let title = format!("{}: {} more {noun}", search.name, group_thousands(more));
    let body = format!(
        "{} more {noun} {verb} the saved search {}. At most {MAX_ALERTS_PER_HOUR} an hour are announced one by one; \
         the search lists all of them.",
        group_thousands(more),
        search.name
    );
    notify_user(search, &search.window, &title, &body, None)
}

fn notify_user(
    search: &AlertedSearch,
    subject: &str,
    title: &str,
    body: &str,
    opportunity: Option<&str>,
) -> Option<ProcessCommand> {
    let id = Uuid::new_v5(&ID_NAMESPACE, format!("{} {subject}", search.search_id).as_bytes());
    let link = opportunity.map(|id| format!("/opportunities/{id}"));
    let title = NotificationTitle::try_new(&flatten_text(title, 200)).ok()?;
    let body = NotificationBody::try_new(&flatten_text(body, 2_000)).ok()?;
    let notification = Notification {
        link: link.and_then(|path| NotificationLink::try_new(&path).ok()),
        about: NotificationTopic::try_new(opportunity.unwrap_or(&search.search_id.to_string())).ok(),
        ..Notification::new(NotificationId::new(id), NotificationKind::OpportunityMatched, title, body)
    };
    Some(ProcessCommand::NotifyUser { user: search.user.clone(), notification })
}

/// At most `limit` characters of a text, on one line.
fn flatten_text(text: &str, limit: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(limit).collect()
}

/// A number with commas between groups of three digits.
fn group_thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
