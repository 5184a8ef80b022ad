//! The states of streams and of their parts.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::{opportunity::Opportunity, time_text};

use super::{
    ViewChange, ViewEvent,
    counters::CountedProperties,
    engagement_kind::EngagementKind,
    figure_deltas::{FigureDeltas, FigureKey},
    key_shard::KeyShard,
    view_change::{VISIT, VisitEngagement, WATCHLIST, WatchlistChange},
};

/// A kind of state; part of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum StateKind {
    /// An opportunity; changes the counters of its shard.
    Opportunity,
    /// A visit: its version, by which missing events are detected, and the day of its last event.
    Visit,
    /// A user's watchlist.
    Watchlist,
    /// The part of a visit about the opportunities of one shard; changes their figures.
    VisitPart,
    /// The part of a watchlist about the opportunities of one shard; changes their figures.
    WatchlistPart,
}

impl StateKind {
    pub(super) const ALL: [Self; 5] =
        [Self::Opportunity, Self::Visit, Self::Watchlist, Self::VisitPart, Self::WatchlistPart];

    /// The kind of the state of an aggregate's stream; `None` if the aggregate is not part of the read model.
    pub(super) fn from_aggregate_type(aggregate_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| !kind.is_part() && kind.name() == aggregate_type)
    }

    /// The kind of the state of a change's whole stream.
    pub(super) fn of_stream(change: &ViewChange) -> Self {
        match change.event {
            ViewEvent::Opportunity(_) => Self::Opportunity,
            ViewEvent::Visit(_) => Self::Visit,
            ViewEvent::Watchlist(_) => Self::Watchlist,
        }
    }

    /// The kind of the parts of a stream; `None` if the kind has no parts.
    pub(super) fn part(self) -> Option<Self> {
        match self {
            Self::Visit => Some(Self::VisitPart),
            Self::Watchlist => Some(Self::WatchlistPart),
            Self::Opportunity | Self::VisitPart | Self::WatchlistPart => None,
        }
    }

    /// Whether the state has the events of one shard only.
    pub(super) fn is_part(self) -> bool {
        match self {
            Self::VisitPart | Self::WatchlistPart => true,
            Self::Opportunity | Self::Visit | Self::Watchlist => false,
        }
    }

    /// Whether a state may expire, so that a missing one may have existed before. Visits may, because a transition
    /// needs nothing of their earlier events; all other states are stored as long as their stream exists.
    pub(super) fn may_expire(self) -> bool {
        match self {
            Self::Visit | Self::VisitPart => true,
            Self::Opportunity | Self::Watchlist | Self::WatchlistPart => false,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Opportunity => "opportunity",
            Self::Visit => VISIT,
            Self::Watchlist => WATCHLIST,
            Self::VisitPart => "visit_part",
            Self::WatchlistPart => "watchlist_part",
        }
    }
}

/// The opportunities that a user has saved, and when.
pub(super) type SavedOpportunities = BTreeMap<String, DateTime<Utc>>;

/// The length of the texts of most opportunities: a text that is shorter is not copied while it grows.
const TEXT_CAPACITY: usize = 2_048;

/// The length of a date with its quotes.
const DATE_CAPACITY: usize = 12;

/// A folded stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ViewState {
    /// In a box, because a batch moves its states several times, and the cache has maps of them.
    Opportunity(Box<Opportunity>),
    /// The day on which the last event was recorded, by which the visit expires; nothing else of a visit is needed.
    Visit(NaiveDate),
    Watchlist(SavedOpportunities),
}

impl ViewState {
    /// The state before the first event.
    pub(super) fn new(kind: StateKind) -> Self {
        match kind {
            StateKind::Opportunity => Self::Opportunity(Box::default()),
            StateKind::Visit | StateKind::VisitPart => Self::Visit(NaiveDate::MIN),
            StateKind::Watchlist | StateKind::WatchlistPart => Self::Watchlist(SavedOpportunities::new()),
        }
    }

    pub(super) fn from_json(kind: StateKind, text: &str) -> serde_json::Result<Self> {
        match kind {
            StateKind::Opportunity => serde_json::from_str(text).map(Self::Opportunity),
            StateKind::Visit | StateKind::VisitPart => serde_json::from_str(text).map(Self::Visit),
            StateKind::Watchlist | StateKind::WatchlistPart => serde_json::from_str(text).map(Self::Watchlist),
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Result<String> {
        match self {
            Self::Opportunity(state) => {
                let mut text = Vec::with_capacity(TEXT_CAPACITY);
                serde_json::to_writer(&mut text, state)?;
                String::from_utf8(text).map_err(serde::ser::Error::custom)
            }
            Self::Visit(day) => {
                let mut text = String::with_capacity(DATE_CAPACITY);
                text.push('"');
                time_text::write_date(*day, &mut text);
                text.push('"');
                Ok(text)
            }
            Self::Watchlist(saved) => serde_json::to_string(saved),
        }
    }

    /// Folds an event. Adds what one of a visit or a watchlist adds to figures of opportunities to `deltas`, if it is
    /// given.
    pub(super) fn evolve(&mut self, event: &ViewEvent, deltas: Option<&mut FigureDeltas>) {
        match (self, event) {
            (Self::Opportunity(state), ViewEvent::Opportunity(event)) => state.evolve(event.clone()),
            (Self::Visit(last_day), ViewEvent::Visit(engagement)) => apply_visit(last_day, engagement, deltas),
            (Self::Watchlist(saved), ViewEvent::Watchlist(change)) => apply_watchlist_change(saved, change, deltas),
            // Streams of different kinds are never folded together.
            (Self::Opportunity(_) | Self::Visit(_) | Self::Watchlist(_), _) => {}
        }
    }

    /// The properties by which it is counted; `None` for an opportunity before its discovery, and for all that is not
    /// counted.
    pub(super) fn counted_properties(&self) -> Option<CountedProperties<'_>> {
        match self {
            Self::Opportunity(state) => CountedProperties::from_state(state),
            Self::Visit(_) | Self::Watchlist(_) => None,
        }
    }
}

fn apply_visit(last_day: &mut NaiveDate, engagement: &VisitEngagement, deltas: Option<&mut FigureDeltas>) {
    *last_day = engagement.recorded_on;
    if let Some(opportunity) = &engagement.opportunity {
        add_engagement(engagement.kind, opportunity, engagement.day, 1, deltas);
    }
}

/// A day's leaderboard counts the saves of that day that have not been undone: an unsaved opportunity is subtracted
/// from the day on which it was saved.
fn apply_watchlist_change(saved: &mut SavedOpportunities, change: &WatchlistChange, deltas: Option<&mut FigureDeltas>) {
    match change {
        WatchlistChange::Saved { opportunity, at } => {
            if !saved.contains_key(opportunity) {
                saved.insert(opportunity.clone(), *at);
                add_engagement(EngagementKind::Saved, opportunity, at.date_naive(), 1, deltas);
            }
        }
        WatchlistChange::SearchChanged => {}
        WatchlistChange::Unsaved { opportunity } => {
            if let Some(at) = saved.remove(opportunity) {
                add_engagement(EngagementKind::Saved, opportunity, at.date_naive(), -1, deltas);
            }
        }
    }
}

fn add_engagement(
    kind: EngagementKind,
    opportunity: &str,
    day: NaiveDate,
    delta: i64,
    deltas: Option<&mut FigureDeltas>,
) {
    let Some(deltas) = deltas else { return };
    let shard = KeyShard::for_id(opportunity);
    deltas.add(FigureKey::Engagement(opportunity.to_owned()), kind.name(), delta);
    deltas.add(FigureKey::Leaderboard(shard, kind, None), opportunity.to_owned(), delta);
    deltas.add(FigureKey::Leaderboard(shard, kind, Some(day)), opportunity.to_owned(), delta);
}
