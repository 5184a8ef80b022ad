//! The interface between a projection and the state store: the events of one stream, and how they are folded.

use super::{figure_delta::FigureDelta, state_key::StateKey};
use crate::{error::BoxedError, runtime::ProjectionError};

/// A state and the sequence of the last event in it; 0 before the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedState<S> {
    /// The sequence of the last event.
    pub version: u64,
    /// The state after it.
    pub state: S,
}

/// The events of one stream in a batch, and the states that they change.
pub trait StateBatch: Send + Sync {
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
    ///
    /// # Errors
    /// Why it is no state of this read model.
    fn parse_state(&self, index: usize, version: u64, text: &str) -> Result<Self::State, BoxedError>;

    /// Folds the events that are new to each state; states are in the order of the keys. Nothing is returned for a state
    /// that has all of its events.
    ///
    /// # Errors
    /// [`ProjectionError::Poison`] when events are missing or cannot be folded: nothing of the stream is written.
    fn fold(
        &self,
        stored: Vec<VersionedState<Self::State>>,
    ) -> Result<Vec<StateTransition<Self::State>>, ProjectionError>;
}

/// The write of one state.
#[derive(Debug)]
pub struct StateTransition<S> {
    /// Index of the state's key.
    pub index: usize,
    /// The stored version that the transition builds on.
    pub from: u64,
    /// The new state and its version.
    pub to: VersionedState<S>,
    /// The new state as it is stored.
    pub text: String,
    /// Time to live in seconds; 0 for ever.
    pub ttl_seconds: u64,
    /// What is written to figures and lists of the same tag in the same step.
    pub figures: Vec<FigureDelta>,
}
