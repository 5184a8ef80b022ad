//! The expected states of the streams in some buckets, and of their parts.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::envelope::RawEnvelope;

use super::{is_next, may_be_expired, state_row};
use crate::{
    opportunity_views::{
        ViewChange, ViewEvent,
        key_shard::KeyShard,
        retention_policy::RetentionPolicy,
        view_change::WatchlistChange,
        view_state::{StateKind, ViewState},
        view_transition::empty_state,
    },
    runtime::{ProjectionError, ReadModelFold, ReadModelRow, VerifyScope},
    storage::redis::VersionedState,
};

pub(super) struct ViewStreamFold {
    scope: VerifyScope,
    retention: RetentionPolicy,
    now: DateTime<Utc>,
    /// The states of streams and of their parts, by kind, shard and stream.
    states: HashMap<(StateKind, KeyShard, String), VersionedState<ViewState>>,
}

impl ViewStreamFold {
    pub(super) fn new(scope: VerifyScope, retention: RetentionPolicy, now: DateTime<Utc>) -> Self {
        Self { scope, retention, now, states: HashMap::new() }
    }

    fn evolve(&mut self, key: (StateKind, KeyShard, String), sequence: u64, event: ViewEvent) {
        let kind = key.0;
        let stored = self.states.entry(key).or_insert_with(|| empty_state(kind));
        stored.version = sequence;
        match (&mut stored.state, event) {
            (ViewState::Opportunity(state), ViewEvent::Opportunity(event)) => state.evolve(event),
            (ViewState::Visit(last_day), ViewEvent::Visit(engagement)) => *last_day = engagement.recorded_on,
            (ViewState::Watchlist(saved), ViewEvent::Watchlist(WatchlistChange::Saved { opportunity, at })) => {
                saved.entry(opportunity).or_insert(at);
            }
            (ViewState::Watchlist(saved), ViewEvent::Watchlist(WatchlistChange::Unsaved { opportunity })) => {
                saved.remove(&opportunity);
            }
            // Searches are not stored; streams of different kinds are never folded together.
            (ViewState::Opportunity(_) | ViewState::Visit(_) | ViewState::Watchlist(_), _) => {}
        }
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
        let (kind, shard) = (StateKind::of_stream(&change), KeyShard::for_id(&change.id));
        let key = (kind, shard, change.id.clone());
        let version = self.states.get(&key).map_or(0, |stored| stored.version);
        if !is_next(&change.id, version, change.sequence)? {
            return Ok(());
        }
        if let (Some(part), Some(opportunity)) = (kind.part(), change.event.engaged_opportunity()) {
            self.evolve((part, KeyShard::for_id(opportunity), change.id), change.sequence, change.event.clone());
        }
        self.evolve(key, change.sequence, change.event);
        Ok(())
    }

    fn expected_rows(&self) -> Vec<ReadModelRow> {
        let unexpired =
            self.states.iter().filter(|(_, stored)| !may_be_expired(&stored.state, self.retention, self.now));
        unexpired.filter_map(|((kind, shard, id), stored)| state_row((*kind, *shard), id, stored)).collect()
    }
}
