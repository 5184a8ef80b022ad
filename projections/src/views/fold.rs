//! Folding a batch's events into the states that are stored.

use std::collections::BTreeMap;

use domain::opportunity::Opportunity;

use super::{ViewChange, counter::deltas};

/// A state and the sequence of the last event in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Versioned {
    pub(super) version: u64,
    pub(super) state: Opportunity,
}

/// What to write for one opportunity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// The version it builds on.
    pub(super) from: u64,
    pub(super) to: Versioned,
    pub(super) deltas: BTreeMap<String, i64>,
}

/// Events that should come before the next one are missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("view {id} stands at version {stored}, but the next event has sequence {next}: events in between are missing")]
pub(super) struct Gap {
    id: String,
    stored: u64,
    next: u64,
}

/// Folds the events of one opportunity that are new to its stored state. `None` when all of them are known.
pub(super) fn fold(stored: &Versioned, changes: &[&ViewChange]) -> Result<Option<Step>, Gap> {
    let mut to = stored.clone();
    for change in changes {
        if change.sequence <= to.version {
            continue;
        }
        if change.sequence != to.version + 1 {
            return Err(Gap { id: change.id.clone(), stored: to.version, next: change.sequence });
        }
        to.state.evolve(change.event.clone());
        to.version = change.sequence;
    }
    if to.version == stored.version {
        return Ok(None);
    }
    let deltas = deltas(&stored.state, &to.state);
    Ok(Some(Step { from: stored.version, to, deltas }))
}
