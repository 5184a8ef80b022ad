//! The streams of some buckets, each with its state.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::envelope::RawRecorded;

use super::{is_forgotten, is_next, stream_row};
use crate::{
    runtime::{Fold, ProjectionError, Row, Scope},
    views::{
        ViewChange, ViewEvent,
        change::Choice,
        lifetime::Lifetime,
        step::Versioned,
        stream::{State, Stream},
    },
};

pub(super) struct Streams {
    scope: Scope,
    lifetime: Lifetime,
    now: DateTime<Utc>,
    states: HashMap<(Stream, String), Versioned>,
}

impl Streams {
    pub(super) fn new(scope: Scope, lifetime: Lifetime, now: DateTime<Utc>) -> Self {
        Self { scope, lifetime, now, states: HashMap::new() }
    }
}

impl Fold for Streams {
    fn take(&mut self, event: &RawRecorded) -> Result<(), ProjectionError> {
        if !self.scope.holds(&event.aggregate_id) {
            return Ok(());
        }
        let Some(change) = ViewChange::of(event)? else {
            return Ok(());
        };
        let stream = Stream::of(&change);
        let key = (stream, change.id);
        let version = self.states.get(&key).map_or(0, |stored| stored.version);
        if !is_next(&key.1, version, change.sequence)? {
            return Ok(());
        }
        let stored = self.states.entry(key).or_insert_with(|| Versioned::new(stream));
        stored.version = change.sequence;
        match (&mut stored.state, change.event) {
            (State::Opportunity(state), ViewEvent::Opportunity(event)) => state.evolve(event),
            (State::Visit(last), ViewEvent::Visit(sight)) => *last = sight.recorded_on,
            (State::Watchlist(saved), ViewEvent::Watchlist(Choice::Saved { opportunity, at })) => {
                saved.entry(opportunity).or_insert(at);
            }
            (State::Watchlist(saved), ViewEvent::Watchlist(Choice::Unsaved { opportunity })) => {
                saved.remove(&opportunity);
            }
            // A stream is of the kind that its events are, and of searches nothing is kept.
            (State::Opportunity(_) | State::Visit(_) | State::Watchlist(_), _) => {}
        }
        Ok(())
    }

    fn rows(&self) -> Vec<Row> {
        let kept = self.states.iter().filter(|(_, stored)| !is_forgotten(&stored.state, self.lifetime, self.now));
        kept.filter_map(|((stream, id), stored)| stream_row(*stream, id, stored)).collect()
    }
}
