//! The streams of some buckets, each with its state.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::envelope::RawEnvelope;

use super::{is_expired, is_next, stream_row};
use crate::{
    opportunity_views::{
        ViewChange, ViewEvent,
        retention_policy::RetentionPolicy,
        state_transition::VersionedState,
        view_change::WatchlistChange,
        view_state::{StreamKind, ViewState},
    },
    runtime::{ProjectionError, ReadModelFold, ReadModelRow, VerifyScope},
};

pub(super) struct ViewStreamFold {
    scope: VerifyScope,
    lifetime: RetentionPolicy,
    now: DateTime<Utc>,
    states: HashMap<(StreamKind, String), VersionedState>,
}

impl ViewStreamFold {
    pub(super) fn new(scope: VerifyScope, lifetime: RetentionPolicy, now: DateTime<Utc>) -> Self {
        Self { scope, lifetime, now, states: HashMap::new() }
    }
}

impl ReadModelFold for ViewStreamFold {
    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        if !self.scope.contains_stream(&event.aggregate_id) {
            return Ok(());
        }
        let Some(change) = ViewChange::from_event(event)? else {
            return Ok(());
        };
        let stream = StreamKind::from_change(&change);
        let key = (stream, change.id);
        let version = self.states.get(&key).map_or(0, |stored| stored.version);
        if !is_next(&key.1, version, change.sequence)? {
            return Ok(());
        }
        let stored = self.states.entry(key).or_insert_with(|| VersionedState::new(stream));
        stored.version = change.sequence;
        match (&mut stored.state, change.event) {
            (ViewState::Opportunity(state), ViewEvent::Opportunity(event)) => state.evolve(event),
            (ViewState::Visit(last), ViewEvent::Visit(sight)) => *last = sight.recorded_on,
            (ViewState::Watchlist(saved), ViewEvent::Watchlist(WatchlistChange::Saved { opportunity, at })) => {
                saved.entry(opportunity).or_insert(at);
            }
            (ViewState::Watchlist(saved), ViewEvent::Watchlist(WatchlistChange::Unsaved { opportunity })) => {
                saved.remove(&opportunity);
            }
            // A stream is of the kind that its events are, and of searches nothing is kept.
            (ViewState::Opportunity(_) | ViewState::Visit(_) | ViewState::Watchlist(_), _) => {}
        }
        Ok(())
    }

    fn expected_rows(&self) -> Vec<ReadModelRow> {
        let kept = self.states.iter().filter(|(_, stored)| !is_expired(&stored.state, self.lifetime, self.now));
        kept.filter_map(|((stream, id), stored)| stream_row(*stream, id, stored)).collect()
    }
}
