//! Writes batches of changes to streams, their parts and figures.

use std::{iter, sync::Arc};

use domain::envelope::RawEnvelope;

use super::{
    OpportunityViews, ViewChange,
    figure_deltas::{FigureDeltas, FigureKey, KeyedDelta},
    key_shard::KeyShard,
    view_state::{StateKind, ViewState},
    view_transition::{ViewTransition, fold_changes},
};
use crate::{
    error::BoxedError,
    runtime::ProjectionError,
    storage::redis::{FigureDelta, StateBatch, StateKey, StateTransition, VersionedState},
};

/// The events of one stream in a batch.
pub(super) struct StreamBatch<'a> {
    views: &'a OpportunityViews,
    operation: StreamOperation<'a>,
    kind: StateKind,
    shard: KeyShard,
    /// The shards of its parts, which are those of the opportunities that the events are about.
    part_shards: Vec<KeyShard>,
    /// The keys of the stream and of its parts.
    keys: Vec<StateKey>,
}

/// The operation on a stream.
enum StreamOperation<'a> {
    /// Folds its events.
    Apply(&'a [&'a ViewChange]),
    /// Skips the event with this sequence, a dead letter.
    Skip(u64),
}

impl OpportunityViews {
    pub(super) async fn write_changes(&self, changes: &[ViewChange]) -> Result<(), ProjectionError> {
        let sorted = sort_by_stream(changes);
        self.store.apply(self.group_by_stream(&sorted)).await
    }

    /// Advances the version of a stream past its next event, which is skipped, and the version of the part that the
    /// event would change, if it can be decoded.
    pub(super) async fn skip_sequence(&self, kind: StateKind, event: &RawEnvelope) -> Result<(), ProjectionError> {
        let change = ViewChange::from_event(event).ok().flatten();
        let opportunity = change.as_ref().and_then(|change| change.event.engaged_opportunity());
        let operation = StreamOperation::Skip(event.sequence);
        self.store.apply(vec![self.stream_batch(kind, &event.aggregate_id, opportunity.into_iter(), operation)]).await
    }

    /// Groups changes that [`sort_by_stream`] has sorted.
    pub(super) fn group_by_stream<'a>(&'a self, sorted: &'a [&'a ViewChange]) -> Vec<StreamBatch<'a>> {
        let is_same_stream = |one: &&ViewChange, next: &&ViewChange| {
            one.id == next.id && StateKind::of_stream(one) == StateKind::of_stream(next)
        };
        let to_batch = |changes: &'a [&'a ViewChange]| {
            let first = changes.first()?;
            let opportunities = changes.iter().filter_map(|change| change.event.engaged_opportunity());
            let operation = StreamOperation::Apply(changes);
            Some(self.stream_batch(StateKind::of_stream(first), &first.id, opportunities, operation))
        };
        sorted.chunk_by(is_same_stream).filter_map(to_batch).collect()
    }

    /// The keys of the states that a change advances.
    pub(super) fn state_keys(&self, change: &ViewChange) -> Vec<StateKey> {
        let opportunities = change.event.engaged_opportunity().into_iter();
        self.stream_batch(StateKind::of_stream(change), &change.id, opportunities, StreamOperation::Apply(&[])).keys
    }

    fn stream_batch<'a>(
        &'a self,
        kind: StateKind,
        id: &str,
        opportunities: impl Iterator<Item = &'a str>,
        operation: StreamOperation<'a>,
    ) -> StreamBatch<'a> {
        let (shard, mut part_shards) = (KeyShard::for_id(id), vec![]);
        if kind.part().is_some() {
            part_shards.extend(opportunities.map(KeyShard::for_id));
            part_shards.sort_unstable();
            part_shards.dedup();
        }
        let batch = StreamBatch { views: self, operation, kind, shard, part_shards, keys: vec![] };
        let keys = batch.states().map(|(kind, shard)| self.state_key(kind, shard, id)).collect();
        StreamBatch { keys, ..batch }
    }
}

impl StreamBatch<'_> {
    /// Kind and shard of each state: that of the stream, then those of its parts.
    fn states(&self) -> impl Iterator<Item = (StateKind, KeyShard)> {
        // Without a kind of parts there are no shards of parts.
        let part = self.kind.part().unwrap_or(self.kind);
        iter::once((self.kind, self.shard)).chain(self.part_shards.iter().map(move |shard| (part, *shard)))
    }

    fn state_kind(&self, index: usize) -> StateKind {
        self.states().nth(index).map_or(self.kind, |(kind, _)| kind)
    }

    fn to_state_transition(
        &self,
        index: usize,
        kind: StateKind,
        transition: ViewTransition,
    ) -> Result<StateTransition<ViewState>, ProjectionError> {
        let ViewTransition { from, to, deltas } = transition;
        let retention = self.views.retention;
        let text = to.state.to_json().map_err(ProjectionError::poison)?;
        // The fields of one key follow each other.
        let mut last_key: Option<FigureKey> = None;
        let mut figures: Vec<FigureDelta> = vec![];
        for KeyedDelta { key, field, delta } in deltas {
            let target = match figures.last() {
                Some(last) if last_key.as_ref() == Some(&key) => Arc::clone(&last.target),
                _ => self.views.figure_target(&key),
            };
            figures.push(FigureDelta { target, field, delta });
            last_key = Some(key);
        }
        let ttl_seconds = if kind.may_expire() { retention.visit_ttl_seconds() } else { 0 };
        Ok(StateTransition { index, from, to, text, ttl_seconds, figures })
    }
}

impl StateBatch for StreamBatch<'_> {
    type State = ViewState;

    fn keys(&self) -> &[StateKey] {
        &self.keys
    }

    fn is_new_stream(&self) -> bool {
        match &self.operation {
            StreamOperation::Apply(changes) => changes.first().is_some_and(|change| change.sequence == 1),
            StreamOperation::Skip(_) => false,
        }
    }

    fn initial_state(&self, index: usize) -> ViewState {
        ViewState::new(self.state_kind(index))
    }

    fn parse_state(&self, index: usize, _version: u64, text: &str) -> Result<ViewState, BoxedError> {
        Ok(ViewState::from_json(self.state_kind(index), text)?)
    }

    fn fold(&self, stored: Vec<VersionedState<ViewState>>) -> Result<Vec<StateTransition<ViewState>>, ProjectionError> {
        let mut transitions = Vec::with_capacity(stored.len());
        for (index, (state, stored)) in self.states().zip(stored).enumerate() {
            let transition = match &self.operation {
                StreamOperation::Apply(changes) => {
                    fold_changes(state, stored, changes).map_err(ProjectionError::poison)?
                }
                StreamOperation::Skip(sequence) => skip_sequence(state.0, stored, *sequence),
            };
            transitions
                .extend(transition.map(|transition| self.to_state_transition(index, state.0, transition)).transpose()?);
        }
        Ok(transitions)
    }
}

/// Sorts changes by tag and stream, those of a stream in their order. A stable sort costs less than a map with a list
/// for each stream, of which a batch has nearly as many as changes. The store writes tags in the same order.
pub(super) fn sort_by_stream(changes: &[ViewChange]) -> Vec<&ViewChange> {
    let mut sorted: Vec<&ViewChange> = changes.iter().collect();
    sorted.sort_by_cached_key(|change| {
        (KeyShard::for_id(&change.id).tag(), StateKind::of_stream(change), change.id.as_str())
    });
    sorted
}

/// Advances the version and leaves the state unchanged; `None` if the event is not the next one.
fn skip_sequence(kind: StateKind, stored: VersionedState<ViewState>, sequence: u64) -> Option<ViewTransition> {
    let VersionedState { version: from, state } = stored;
    let is_next = if kind.is_part() { from < sequence } else { from + 1 == sequence };
    let to = VersionedState { version: sequence, state };
    is_next.then(|| ViewTransition { from, to, deltas: FigureDeltas::default() })
}

#[cfg(test)]
mod tests;
