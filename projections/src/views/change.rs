//! What an event of the log means here.

use chrono::{DateTime, NaiveDate, Utc};
use cqrs_es::Aggregate;
use domain::{
    envelope::RawRecorded,
    opportunity::{Opportunity, OpportunityEvent},
};
use serde::Deserialize;

use super::leaderboard::Engaged;
use crate::runtime::ProjectionError;

/// One event of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewChange {
    /// The stream: an opportunity, a visit or a user.
    pub id: String,
    /// The event's place in its stream.
    pub sequence: u64,
    /// The event.
    pub event: ViewEvent,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewEvent {
    /// To an opportunity.
    Opportunity(OpportunityEvent),
    /// In a visit.
    Visit(Sight),
    /// To a user's watchlist.
    Watchlist(Choice),
}

/// A page that was viewed or a link that was clicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Which of the two.
    pub kind: Engaged,
    /// The opportunity that it was about, if any.
    pub opportunity: Option<String>,
    /// The day on which it happened.
    pub day: NaiveDate,
    /// The day on which the log took it.
    pub recorded_on: NaiveDate,
}

/// What a user chose to keep, or no longer to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// An opportunity was saved.
    Saved {
        /// The opportunity.
        opportunity: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// It is no longer saved.
    Unsaved {
        /// The opportunity.
        opportunity: String,
    },
    /// A search was saved or removed: nothing that is counted here.
    Search,
}

impl ViewChange {
    /// Reads an event; `None` when it is of no interest here.
    pub(super) fn of(event: &RawRecorded) -> Result<Option<Self>, ProjectionError> {
        let read = if event.aggregate_type == Opportunity::TYPE {
            ViewEvent::Opportunity(event.decode().map_err(ProjectionError::poison)?)
        } else if event.aggregate_type == VISIT {
            let mut sight = Sight::of(parsed(event)?, event.recorded_at);
            // Anybody can invent opportunities without end; what they are engaged with would stay here for ever.
            sight.opportunity = sight.opportunity.filter(|_| !event.metadata.about_unknown);
            ViewEvent::Visit(sight)
        } else if event.aggregate_type == WATCHLIST {
            ViewEvent::Watchlist(Choice::of(parsed(event)?, event.recorded_at))
        } else {
            return Ok(None);
        };
        Ok(Some(Self { id: event.aggregate_id.clone(), sequence: event.sequence, event: read }))
    }
}

pub(super) const VISIT: &str = "visit";
pub(super) const WATCHLIST: &str = "watchlist";

/// What is read of a visit's events.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum VisitEvent {
    PageViewed { opportunity_id: Option<String>, at: DateTime<Utc> },
    LinkClicked { opportunity_id: Option<String>, at: DateTime<Utc> },
}

/// What is read of a watchlist's events.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WatchlistEvent {
    OpportunitySaved { opportunity_id: String, at: DateTime<Utc> },
    OpportunityUnsaved { opportunity_id: String },
    SearchSaved {},
    SearchRemoved {},
}

impl Sight {
    /// Times come from the visitor's own clock; what it says of the future is as of now.
    fn of(event: VisitEvent, recorded_at: DateTime<Utc>) -> Self {
        let (kind, opportunity, at) = match event {
            VisitEvent::PageViewed { opportunity_id, at } => (Engaged::Viewed, opportunity_id, at),
            VisitEvent::LinkClicked { opportunity_id, at } => (Engaged::Clicked, opportunity_id, at),
        };
        Self { kind, opportunity, day: at.min(recorded_at).date_naive(), recorded_on: recorded_at.date_naive() }
    }
}

impl Choice {
    fn of(event: WatchlistEvent, recorded_at: DateTime<Utc>) -> Self {
        match event {
            WatchlistEvent::OpportunitySaved { opportunity_id, at } => {
                Self::Saved { opportunity: opportunity_id, at: at.min(recorded_at) }
            }
            WatchlistEvent::OpportunityUnsaved { opportunity_id } => Self::Unsaved { opportunity: opportunity_id },
            WatchlistEvent::SearchSaved {} | WatchlistEvent::SearchRemoved {} => Self::Search,
        }
    }
}

fn parsed<'a, E: Deserialize<'a>>(event: &'a RawRecorded) -> Result<E, ProjectionError> {
    serde_json::from_str(&event.payload).map_err(ProjectionError::poison)
}
