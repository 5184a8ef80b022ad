//! What is kept about one stream: a state, and the sequence of the last event in it.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::opportunity::Opportunity;

use super::{
    ViewChange, ViewEvent, counters,
    figure_deltas::{FigureDeltas, FigureKey},
    leaderboard::EngagementKind,
    view_change::{VISIT, VisitEngagement, WATCHLIST, WatchlistChange},
};

/// A kind of stream; part of the key that its state is under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum StreamKind {
    Opportunity,
    Visit,
    Watchlist,
}

impl StreamKind {
    pub(super) const ALL: [Self; 3] = [Self::Opportunity, Self::Visit, Self::Watchlist];

    /// The kind of stream that an aggregate's events are; `None` where nothing is kept about it.
    pub(super) fn from_aggregate_type(aggregate_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name() == aggregate_type)
    }

    pub(super) fn from_change(change: &ViewChange) -> Self {
        match change.event {
            ViewEvent::Opportunity(_) => Self::Opportunity,
            ViewEvent::Visit(_) => Self::Visit,
            ViewEvent::Watchlist(_) => Self::Watchlist,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Opportunity => "opportunity",
            Self::Visit => VISIT,
            Self::Watchlist => WATCHLIST,
        }
    }
}

/// What a user keeps, and since when.
pub(super) type SavedOpportunities = BTreeMap<String, DateTime<Utc>>;

/// A folded stream.
#[expect(clippy::large_enum_variant, reason = "nearly all of them are opportunities; a box each would cost more")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ViewState {
    Opportunity(Opportunity),
    /// The day on which the log took the last event; nothing else of a visit is needed, but when to forget it.
    Visit(NaiveDate),
    Watchlist(SavedOpportunities),
}

impl ViewState {
    /// Before the first event.
    pub(super) fn new(stream: StreamKind) -> Self {
        match stream {
            StreamKind::Opportunity => Self::Opportunity(Opportunity::default()),
            StreamKind::Visit => Self::Visit(NaiveDate::MIN),
            StreamKind::Watchlist => Self::Watchlist(SavedOpportunities::new()),
        }
    }

    pub(super) fn from_json(stream: StreamKind, text: &str) -> serde_json::Result<Self> {
        match stream {
            StreamKind::Opportunity => serde_json::from_str(text).map(Self::Opportunity),
            StreamKind::Visit => serde_json::from_str(text).map(Self::Visit),
            StreamKind::Watchlist => serde_json::from_str(text).map(Self::Watchlist),
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Result<String> {
        match self {
            Self::Opportunity(state) => serde_json::to_string(state),
            Self::Visit(day) => serde_json::to_string(day),
            Self::Watchlist(saved) => serde_json::to_string(saved),
        }
    }

    /// Folds events in, and says what they add to which figures.
    pub(super) fn evolve<'a>(&mut self, events: impl Iterator<Item = &'a ViewEvent>) -> FigureDeltas {
        let mut deltas = FigureDeltas::default();
        if let Self::Opportunity(state) = &*self {
            counters::count_opportunity(state, -1, &mut deltas);
        }
        for event in events {
            match (&mut *self, event) {
                (Self::Opportunity(state), ViewEvent::Opportunity(event)) => state.evolve(event.clone()),
                (Self::Visit(last), ViewEvent::Visit(sight)) => apply_visit(last, sight, &mut deltas),
                (Self::Watchlist(saved), ViewEvent::Watchlist(choice)) => {
                    apply_watchlist_change(saved, choice, &mut deltas);
                }
                // Streams of different kinds are never folded together.
                (Self::Opportunity(_) | Self::Visit(_) | Self::Watchlist(_), _) => {}
            }
        }
        if let Self::Opportunity(state) = &*self {
            counters::count_opportunity(state, 1, &mut deltas);
        }
        deltas.drop_zeros();
        deltas
    }
}

fn apply_visit(last: &mut NaiveDate, sight: &VisitEngagement, deltas: &mut FigureDeltas) {
    *last = sight.recorded_on;
    if let Some(opportunity) = &sight.opportunity {
        add_engagement(sight.kind, opportunity, sight.day, 1, deltas);
    }
}

/// A day's leaderboard has what was saved that day and still is: what is no longer saved is taken from the day on which
/// it was.
fn apply_watchlist_change(saved: &mut SavedOpportunities, choice: &WatchlistChange, deltas: &mut FigureDeltas) {
    match choice {
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

fn add_engagement(kind: EngagementKind, opportunity: &str, day: NaiveDate, delta: i64, deltas: &mut FigureDeltas) {
    deltas.add(FigureKey::Engagement(opportunity.to_owned()), kind.name(), delta);
    deltas.add(FigureKey::Leaderboard(kind, None), opportunity, delta);
    deltas.add(FigureKey::Leaderboard(kind, Some(day)), opportunity, delta);
}
