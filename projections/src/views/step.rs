//! Folding a batch's events into the states that are stored.

use super::{
    ViewChange,
    delta::Deltas,
    stream::{State, Stream},
};

/// A state and the sequence of the last event in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Versioned {
    pub(super) version: u64,
    pub(super) state: State,
}

impl Versioned {
    /// Before the first event.
    pub(super) fn new(stream: Stream) -> Self {
        Self { version: 0, state: State::new(stream) }
    }
}

/// What to write for one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// The version it builds on.
    pub(super) from: u64,
    pub(super) to: Versioned,
    pub(super) deltas: Deltas,
}

/// Events that should come before the next one are missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("view {id} stands at version {stored}, but the next event has sequence {next}: events in between are missing")]
pub(super) struct Gap {
    id: String,
    stored: u64,
    next: u64,
}

/// Folds the events of one stream that are new to its stored state. `None` when all of them are known.
pub(super) fn step(stored: Versioned, changes: &[&ViewChange]) -> Result<Option<Step>, Gap> {
    let (from, mut version, mut events) = (stored.version, stored.version, vec![]);
    for change in changes {
        if change.sequence <= version {
            continue;
        }
        if change.sequence != version + 1 {
            return Err(Gap { id: change.id.clone(), stored: version, next: change.sequence });
        }
        version = change.sequence;
        events.push(&change.event);
    }
    if events.is_empty() {
        return Ok(None);
    }
    let mut state = stored.state;
    let deltas = state.evolve(events.into_iter());
    Ok(Some(Step { from, to: Versioned { version, state }, deltas }))
}
