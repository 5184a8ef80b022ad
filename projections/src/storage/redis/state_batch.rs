//! The interface between a projection and the state store: the events of one stream, and how they are folded.

use super::{figure_delta::FigureDelta, state_key::StateKey};
use crate::{error::BoxedError, runtime::ProjectionError};

/// A state and the sequence of the last event in it; 0 before the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VersionedState<S> {
    pub(crate) version: u64,
    pub(crate) state: S,
}

/// The events of one stream in a batch, and the states that they change.
pub(crate) trait StateBatch: Send + Sync {
    /// A parsed state.
    type State: Send;

    /// The keys of the states, at least one: first that of the stream, then those of its parts in other slots.
    fn keys(&self) -> &[StateKey];

    /// Whether the batch begins with the stream's first event: then probably nothing is stored yet, and the store does
    /// not read it first.
    fn is_new_stream(&self) -> bool;

    /// The state of the key at `index` before its first event.
    fn initial_state(&self, index: usize) -> Self::State;

    /// Decodes a stored state of the key at `index`.
    fn parse_state(&self, index: usize, version: u64, text: &str) -> Result<Self::State, BoxedError>;

    /// Folds into each state the events that it does not have yet; states are in the order of the keys. A state that
    /// has all of its events has no transition.
    fn fold(
        &self,
        stored: Vec<VersionedState<Self::State>>,
    ) -> Result<Vec<StateTransition<Self::State>>, ProjectionError>;
}

/// The write of one state.
#[derive(Debug)]
pub(crate) struct StateTransition<S> {
    /// Index of the state's key.
    pub(crate) index: usize,
    /// The stored version that the transition builds on.
    pub(crate) from: u64,
    pub(crate) to: VersionedState<S>,
    /// The new state as it is stored.
    pub(crate) text: String,
    /// Time to live in seconds; 0 for ever.
    pub(crate) ttl_seconds: u64,
    /// Changes of figures and lists of the same tag, written atomically with the state.
    pub(crate) figures: Vec<FigureDelta>,
}
