//! What is kept about one stream: a state, and the sequence of the last event in it.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::opportunity::Opportunity;

use super::{
    ViewChange, ViewEvent,
    change::{Choice, Sight, VISIT, WATCHLIST},
    counter,
    delta::{Deltas, Target},
    leaderboard::Engaged,
};

/// A kind of stream; part of the key that its state is under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Stream {
    Opportunity,
    Visit,
    Watchlist,
}

impl Stream {
    pub(super) const ALL: [Self; 3] = [Self::Opportunity, Self::Visit, Self::Watchlist];

    /// The kind of stream that an aggregate's events are; `None` where nothing is kept about it.
    pub(super) fn of_aggregate(aggregate_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name() == aggregate_type)
    }

    pub(super) fn of(change: &ViewChange) -> Self {
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
pub(super) type Saved = BTreeMap<String, DateTime<Utc>>;

/// A folded stream.
#[expect(clippy::large_enum_variant, reason = "nearly all of them are opportunities; a box each would cost more")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Opportunity(Opportunity),
    /// The day on which the log took the last event; nothing else of a visit is needed, but when to forget it.
    Visit(NaiveDate),
    Watchlist(Saved),
}

impl State {
    /// Before the first event.
    pub(super) fn new(stream: Stream) -> Self {
        match stream {
            Stream::Opportunity => Self::Opportunity(Opportunity::default()),
            Stream::Visit => Self::Visit(NaiveDate::MIN),
            Stream::Watchlist => Self::Watchlist(Saved::new()),
        }
    }

    pub(super) fn parse(stream: Stream, text: &str) -> serde_json::Result<Self> {
        match stream {
            Stream::Opportunity => serde_json::from_str(text).map(Self::Opportunity),
            Stream::Visit => serde_json::from_str(text).map(Self::Visit),
            Stream::Watchlist => serde_json::from_str(text).map(Self::Watchlist),
        }
    }

    pub(super) fn text(&self) -> serde_json::Result<String> {
        match self {
            Self::Opportunity(state) => serde_json::to_string(state),
            Self::Visit(day) => serde_json::to_string(day),
            Self::Watchlist(saved) => serde_json::to_string(saved),
        }
    }

    /// Folds events in, and says what they add to which figures.
    pub(super) fn evolve<'a>(&mut self, events: impl Iterator<Item = &'a ViewEvent>) -> Deltas {
        let mut deltas = Deltas::default();
        if let Self::Opportunity(state) = &*self {
            counter::count(state, -1, &mut deltas);
        }
        for event in events {
            match (&mut *self, event) {
                (Self::Opportunity(state), ViewEvent::Opportunity(event)) => state.evolve(event.clone()),
                (Self::Visit(last), ViewEvent::Visit(sight)) => see(last, sight, &mut deltas),
                (Self::Watchlist(saved), ViewEvent::Watchlist(choice)) => choose(saved, choice, &mut deltas),
                // Streams of different kinds are never folded together.
                (Self::Opportunity(_) | Self::Visit(_) | Self::Watchlist(_), _) => {}
            }
        }
        if let Self::Opportunity(state) = &*self {
            counter::count(state, 1, &mut deltas);
        }
        deltas.settle();
        deltas
    }
}

fn see(last: &mut NaiveDate, sight: &Sight, deltas: &mut Deltas) {
    *last = sight.recorded_on;
    if let Some(opportunity) = &sight.opportunity {
        engage(sight.kind, opportunity, sight.day, 1, deltas);
    }
}

/// A day's leaderboard has what was saved that day and still is: what is no longer saved is taken from the day on which
/// it was.
fn choose(saved: &mut Saved, choice: &Choice, deltas: &mut Deltas) {
    match choice {
        Choice::Saved { opportunity, at } => {
            if !saved.contains_key(opportunity) {
                saved.insert(opportunity.clone(), *at);
                engage(Engaged::Saved, opportunity, at.date_naive(), 1, deltas);
            }
        }
        Choice::Search => {}
        Choice::Unsaved { opportunity } => {
            if let Some(at) = saved.remove(opportunity) {
                engage(Engaged::Saved, opportunity, at.date_naive(), -1, deltas);
            }
        }
    }
}

fn engage(kind: Engaged, opportunity: &str, day: NaiveDate, delta: i64, deltas: &mut Deltas) {
    deltas.add(Target::Engagement(opportunity.to_owned()), kind.name(), delta);
    deltas.add(Target::Leaderboard(kind, None), opportunity, delta);
    deltas.add(Target::Leaderboard(kind, Some(day)), opportunity, delta);
}
