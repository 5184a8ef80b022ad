//! Writes batches of changes to streams, their parts and figures.

use std::collections::{BTreeMap, BTreeSet};

use domain::envelope::RawEnvelope;

use super::{
    OpportunityViews, ViewChange,
    figure_deltas::{FigureDeltas, FigureKey},
    key_shard::KeyShard,
    view_state::{StateKind, ViewState},
    view_transition::{ViewTransition, fold_changes},
};
use crate::{
    error::BoxedError,
    runtime::ProjectionError,
    storage::redis::{FigureDelta, FigureTarget, StateBatch, StateKey, StateTransition, VersionedState},
};

/// The events of one stream in a batch.
pub(super) struct StreamBatch<'a> {
    views: &'a OpportunityViews,
    operation: StreamOperation<'a>,
    /// Kind and shard of each state: that of the stream, and those of its parts in the shards of the opportunities that
    /// the events are about.
    states: Vec<(StateKind, KeyShard)>,
    keys: Vec<StateKey>,
}

/// The operation on a stream.
enum StreamOperation<'a> {
    /// Folds its events.
    Apply(Vec<&'a ViewChange>),
    /// Skips the event with this sequence, a dead letter.
    Skip(u64),
}

impl OpportunityViews {
    pub(super) async fn write_changes(&self, changes: &[ViewChange]) -> Result<(), ProjectionError> {
        self.store.apply(self.group_by_stream(changes)).await
    }

    /// Advances the version of a stream past its next event, which is skipped, and the version of the part that the
    /// event would change, if it can be decoded.
    pub(super) async fn skip_sequence(&self, kind: StateKind, event: &RawEnvelope) -> Result<(), ProjectionError> {
        let change = ViewChange::from_event(event).ok().flatten();
        let opportunity = change.as_ref().and_then(|change| change.event.engaged_opportunity());
        let operation = StreamOperation::Skip(event.sequence);
        self.store.apply(vec![self.stream_batch(kind, &event.aggregate_id, opportunity.into_iter(), operation)]).await
    }

    /// Groups the changes by stream, in the order of kinds and ids.
    pub(super) fn group_by_stream<'a>(&'a self, changes: &'a [ViewChange]) -> Vec<StreamBatch<'a>> {
        let mut streams = BTreeMap::<(StateKind, &str), Vec<&ViewChange>>::new();
        for change in changes {
            streams.entry((StateKind::of_stream(change), &change.id)).or_default().push(change);
        }
        let to_batch = |((kind, id), changes): ((StateKind, &'a str), Vec<&'a ViewChange>)| {
            let opportunities: Vec<_> =
                changes.iter().filter_map(|change| change.event.engaged_opportunity()).collect();
            self.stream_batch(kind, id, opportunities.into_iter(), StreamOperation::Apply(changes))
        };
        streams.into_iter().map(to_batch).collect()
    }

    /// The keys of the states that a change advances.
    pub(super) fn state_keys(&self, change: &ViewChange) -> Vec<StateKey> {
        let opportunities = change.event.engaged_opportunity().into_iter();
        self.stream_batch(StateKind::of_stream(change), &change.id, opportunities, StreamOperation::Apply(vec![])).keys
    }

    fn stream_batch<'a>(
        &'a self,
        kind: StateKind,
        id: &str,
        opportunities: impl Iterator<Item = &'a str>,
        operation: StreamOperation<'a>,
    ) -> StreamBatch<'a> {
        let mut states = vec![(kind, KeyShard::for_id(id))];
        if let Some(part) = kind.part() {
            let shards: BTreeSet<_> = opportunities.map(KeyShard::for_id).collect();
            states.extend(shards.into_iter().map(|shard| (part, shard)));
        }
        let keys = states.iter().map(|(kind, shard)| self.state_key(*kind, *shard, id)).collect();
        StreamBatch { views: self, operation, states, keys }
    }
}

impl StreamBatch<'_> {
    fn kind(&self, index: usize) -> StateKind {
        self.states.get(index).map_or(StateKind::Opportunity, |(kind, _)| *kind)
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
        let mut figures = vec![];
        // The fields of one key follow each other.
        let mut last: Option<(&FigureKey, FigureTarget)> = None;
        for (key, field, delta) in deltas.iter() {
            let target = match &last {
                Some((last_key, target)) if *last_key == key => target.clone(),
                _ => key.to_target(self.views.figure_key(key), retention),
            };
            figures.push(FigureDelta { target: target.clone(), field: field.to_owned(), delta });
            last = Some((key, target));
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
        ViewState::new(self.kind(index))
    }

    fn parse_state(&self, index: usize, _version: u64, text: &str) -> Result<ViewState, BoxedError> {
        Ok(ViewState::from_json(self.kind(index), text)?)
    }

    fn fold(&self, stored: Vec<VersionedState<ViewState>>) -> Result<Vec<StateTransition<ViewState>>, ProjectionError> {
        let mut transitions = vec![];
        for (index, (state, stored)) in self.states.iter().zip(stored).enumerate() {
            let transition = match &self.operation {
                StreamOperation::Apply(changes) => {
                    fold_changes(*state, stored, changes).map_err(ProjectionError::poison)?
                }
                StreamOperation::Skip(sequence) => skip_sequence(state.0, stored, *sequence),
            };
            transitions
                .extend(transition.map(|transition| self.to_state_transition(index, state.0, transition)).transpose()?);
        }
        Ok(transitions)
    }
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
