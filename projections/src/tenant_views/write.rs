//! Writes batches of changes to streams and their lists.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use domain::envelope::RawEnvelope;

use super::{
    READ_MODEL, TenantViewChange, TenantViews, aggregate_list::ListCursor, stored_aggregate::AggregateFold,
    tenant_aggregate::AggregateDescriptor,
};
use crate::{
    error::BoxedError,
    runtime::ProjectionError,
    storage::redis::{
        FigureDelta, FigureKind, FigureTarget, SequenceGap, StateBatch, StateKey, StateTransition, VersionedState,
    },
};

/// The events of one stream in a batch.
struct AggregateBatch<'a> {
    views: &'a TenantViews,
    kind: &'static AggregateDescriptor,
    keys: [StateKey; 1],
    first: &'a RawEnvelope,
    events: Vec<&'a RawEnvelope>,
    /// Whether the first event is a dead letter that is skipped instead of applied.
    is_skipped: bool,
}

impl TenantViews {
    pub(super) async fn write_changes(&self, changes: &[TenantViewChange]) -> Result<(), ProjectionError> {
        self.store.apply(self.group_by_stream(changes)).await
    }

    /// Advances a stream's version past its next event, which is skipped.
    pub(super) async fn skip_sequence(
        &self,
        kind: &'static AggregateDescriptor,
        event: &RawEnvelope,
    ) -> Result<(), ProjectionError> {
        self.store.apply(vec![AggregateBatch { is_skipped: true, ..self.aggregate_batch(kind, event) }]).await
    }

    /// Groups the changes by stream, in the order of their events.
    fn group_by_stream<'a>(&'a self, changes: &'a [TenantViewChange]) -> Vec<AggregateBatch<'a>> {
        let mut streams = BTreeMap::<(&str, &str), AggregateBatch<'a>>::new();
        for TenantViewChange { kind, event } in changes {
            let batch =
                streams.entry((kind.name, &event.aggregate_id)).or_insert_with(|| self.aggregate_batch(kind, event));
            batch.events.push(event);
        }
        streams.into_values().collect()
    }

    fn aggregate_batch<'a>(&'a self, kind: &'static AggregateDescriptor, event: &'a RawEnvelope) -> AggregateBatch<'a> {
        let keys = [self.stream_key(&event.tenant_id, kind.name, &event.aggregate_id)];
        AggregateBatch { views: self, kind, keys, first: event, events: vec![], is_skipped: false }
    }
}

impl AggregateBatch<'_> {
    /// Folds the events that are newer than the state.
    fn fold_events(&self, state: &mut dyn AggregateFold) -> Result<(), ProjectionError> {
        for event in &self.events {
            let stored = state.version();
            if event.sequence <= stored {
                continue;
            }
            if event.sequence != stored + 1 {
                let stream = event.aggregate_id.clone();
                let gap = SequenceGap { read_model: READ_MODEL, stream, stored, next: event.sequence };
                return Err(ProjectionError::poison(gap));
            }
            state.apply_event(event)?;
        }
        Ok(())
    }
}

impl StateBatch for AggregateBatch<'_> {
    type State = Box<dyn AggregateFold>;

    fn keys(&self) -> &[StateKey] {
        &self.keys
    }

    fn is_new_stream(&self) -> bool {
        !self.is_skipped && self.first.sequence == 1
    }

    fn initial_state(&self, _index: usize) -> Self::State {
        (self.kind.create)()
    }

    fn parse_state(&self, _index: usize, version: u64, text: &str) -> Result<Self::State, BoxedError> {
        Ok((self.kind.restore)(version, text)?)
    }

    fn fold(
        &self,
        stored: Vec<VersionedState<Self::State>>,
    ) -> Result<Vec<StateTransition<Self::State>>, ProjectionError> {
        let mut transitions = vec![];
        for (index, VersionedState { version: from, mut state }) in stored.into_iter().enumerate() {
            let before: BTreeSet<_> = state.groups().into_iter().collect();
            if !self.is_skipped {
                self.fold_events(state.as_mut())?;
            } else if self.first.sequence == from + 1 {
                state.skip_event(self.first);
            }
            let version = state.version();
            if version == from {
                continue;
            }
            let after: BTreeSet<_> = state.groups().into_iter().collect();
            let member = ListCursor::new(state.created_at_millis(), self.first.local_id()).to_string();
            let to_delta = |group, delta| {
                let key = self.views.list_key(self.kind.name, &self.first.tenant_id, group);
                let target = Arc::new(FigureTarget { key, kind: FigureKind::Members, expires_at: 0 });
                FigureDelta { target, field: member.clone().into(), delta }
            };
            let removed = before.difference(&after).map(|group| to_delta(group, -1));
            let figures = removed.chain(after.difference(&before).map(|group| to_delta(group, 1))).collect();
            let text = state.to_json().map_err(ProjectionError::poison)?;
            let to = VersionedState { version, state };
            transitions.push(StateTransition { index, from, to, text, ttl_seconds: 0, figures });
        }
        Ok(transitions)
    }
}

#[cfg(test)]
mod tests;
