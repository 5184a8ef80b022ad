//! The change of the read model that an event causes.

use chrono::{DateTime, NaiveDate, Utc};
use cqrs_es::Aggregate;
use domain::{
    envelope::RawEnvelope,
    opportunity::{Opportunity, OpportunityEvent},
    time_text,
};
use serde::Deserialize;

use super::{engagement_kind::EngagementKind, key_shard::KeyShard};
use crate::runtime::ProjectionError;

/// One event of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewChange {
    /// The stream: an opportunity, a visit or a user.
    pub id: String,
    /// The event's sequence in its stream.
    pub sequence: u64,
    /// The decoded event.
    pub event: ViewEvent,
}

/// The event of a change, by the kind of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewEvent {
    /// An event of an opportunity.
    Opportunity(OpportunityEvent),
    /// A view or a click in a visit.
    Visit(VisitEngagement),
    /// A change of a user's watchlist.
    Watchlist(WatchlistChange),
}

/// A page that was viewed or a link that was clicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitEngagement {
    /// `Viewed` or `Clicked`.
    pub kind: EngagementKind,
    /// The opportunity that it concerns, if it is on record.
    pub opportunity: Option<String>,
    /// The UTC day on which it happened.
    pub day: NaiveDate,
    /// The UTC day on which it was recorded.
    pub recorded_on: NaiveDate,
}

/// A change of a user's watchlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchlistChange {
    /// An opportunity was saved.
    Saved {
        /// The opportunity.
        opportunity: String,
        /// When it was saved.
        at: DateTime<Utc>,
    },
    /// An opportunity is no longer saved.
    Unsaved {
        /// The opportunity.
        opportunity: String,
    },
    /// A search was saved or removed; changes no figures.
    SearchChanged,
}

impl ViewChange {
    /// Decodes an event; `None` for an aggregate that is not part of the read model.
    pub(super) fn from_event(event: &RawEnvelope) -> Result<Option<Self>, ProjectionError> {
        let decoded = if event.aggregate_type == Opportunity::TYPE {
            ViewEvent::Opportunity(event.decode().map_err(ProjectionError::poison)?)
        } else if event.aggregate_type == VISIT {
            let mut engagement = VisitEngagement::from_payload(decode_payload(event)?, event.recorded_at);
            // Clients can name any number of unknown opportunities, whose figures would never expire.
            engagement.opportunity = engagement.opportunity.filter(|_| !event.metadata.about_unknown);
            ViewEvent::Visit(engagement)
        } else if event.aggregate_type == WATCHLIST {
            ViewEvent::Watchlist(WatchlistChange::from_payload(decode_payload(event)?, event.recorded_at))
        } else {
            return Ok(None);
        };
        Ok(Some(Self { id: event.aggregate_id.clone(), sequence: event.sequence, event: decoded }))
    }
}

impl ViewEvent {
    /// The opportunity whose figures an event of a visit or a watchlist changes.
    pub(super) fn engaged_opportunity(&self) -> Option<&str> {
        match self {
            Self::Visit(visit) => visit.opportunity.as_deref(),
            Self::Watchlist(WatchlistChange::Saved { opportunity, .. } | WatchlistChange::Unsaved { opportunity }) => {
                Some(opportunity)
            }
            Self::Opportunity(_) | Self::Watchlist(WatchlistChange::SearchChanged) => None,
        }
    }

    /// Whether the event changes figures of opportunities in this shard.
    pub(super) fn is_counted_in(&self, shard: KeyShard) -> bool {
        self.engaged_opportunity().is_some_and(|opportunity| KeyShard::for_id(opportunity) == shard)
    }
}

pub(super) const VISIT: &str = "visit";
pub(super) const WATCHLIST: &str = "watchlist";

/// The fields of a visit's events that are decoded. All of them have the same ones; an enum with its tag among its fields
/// would be decoded in two passes, and most events are these.
#[derive(Deserialize)]
struct VisitPayload {
    #[serde(rename = "type")]
    event: VisitEventName,
    opportunity_id: Option<String>,
    #[serde(deserialize_with = "time_text::deserialize_time")]
    at: DateTime<Utc>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum VisitEventName {
    PageViewed,
    LinkClicked,
}

/// The fields of a watchlist's events that are decoded.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WatchlistPayload {
    OpportunitySaved { opportunity_id: String, at: DateTime<Utc> },
    OpportunityUnsaved { opportunity_id: String },
    SearchSaved {},
    SearchRemoved {},
}

impl VisitEngagement {
    /// Times come from the visitor's clock; one in the future is replaced by `recorded_at`.
    fn from_payload(payload: VisitPayload, recorded_at: DateTime<Utc>) -> Self {
        let kind = match payload.event {
            VisitEventName::PageViewed => EngagementKind::Viewed,
            VisitEventName::LinkClicked => EngagementKind::Clicked,
        };
        let day = payload.at.min(recorded_at).date_naive();
        Self { kind, opportunity: payload.opportunity_id, day, recorded_on: recorded_at.date_naive() }
    }
}

impl WatchlistChange {
    fn from_payload(event: WatchlistPayload, recorded_at: DateTime<Utc>) -> Self {
        match event {
            WatchlistPayload::OpportunitySaved { opportunity_id, at } => {
                Self::Saved { opportunity: opportunity_id, at: at.min(recorded_at) }
            }
            WatchlistPayload::OpportunityUnsaved { opportunity_id } => Self::Unsaved { opportunity: opportunity_id },
            WatchlistPayload::SearchSaved {} | WatchlistPayload::SearchRemoved {} => Self::SearchChanged,
        }
    }
}

fn decode_payload<'a, E: Deserialize<'a>>(event: &'a RawEnvelope) -> Result<E, ProjectionError> {
    serde_json::from_str(&event.payload).map_err(ProjectionError::poison)
}
