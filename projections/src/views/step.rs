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
#[error(
    "view {id} stands at version {stored}, but the next event has sequence {next}: events in between are missing, or its \
     key in Redis was lost; `medhub rebuild views` makes it anew"
)]
pub(super) struct Gap {
    id: String,
    stored: u64,
    next: u64,
}

/// Whether a state that is not stored may be one that was: visits expire, and of what they added to figures nothing has
/// to be known for the next step. All others are there as long as their stream is.
fn is_forgotten(state: &State) -> bool {
    match state {
        State::Visit(_) => true,
        State::Opportunity(_) | State::Watchlist(_) => false,
    }
}

/// Folds the events of one stream that are new to its stored state. `None` when all of them are known.
pub(super) fn step(stored: Versioned, changes: &[&ViewChange]) -> Result<Option<Step>, Gap> {
    let (from, mut version, mut events) = (stored.version, stored.version, vec![]);
    for change in changes {
        if change.sequence <= version {
            continue;
        }
        if version == 0 && is_forgotten(&stored.state) {
            version = change.sequence - 1;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::{
        ViewEvent,
        change::{Choice, Sight},
        leaderboard::Engaged,
    };

    fn seen(sequence: u64) -> ViewChange {
        let day = "2026-03-01".parse().unwrap();
        let sight = Sight { kind: Engaged::Viewed, opportunity: Some("036:A".to_owned()), day, recorded_on: day };
        ViewChange { id: "visit".to_owned(), sequence, event: ViewEvent::Visit(sight) }
    }

    #[test]
    fn a_visit_whose_key_was_lost_goes_on_and_counts_what_is_new() {
        let changes = [seen(7), seen(8)];
        let step = step(Versioned::new(Stream::Visit), &changes.iter().collect::<Vec<_>>()).unwrap().unwrap();
        assert_eq!((step.from, step.to.version), (0, 8));
        assert!(step.deltas.iter().all(|(_, _, delta)| delta == 2));
    }

    #[test]
    fn events_missing_in_the_middle_of_a_visit_are_still_a_gap() {
        let known = Versioned { version: 3, ..Versioned::new(Stream::Visit) };
        assert!(step(known, &[&seen(5)]).is_err());
        assert!(step(Versioned::new(Stream::Visit), &[&seen(5), &seen(7)]).is_err());
    }

    #[test]
    fn nothing_else_is_ever_forgotten() {
        let event = ViewEvent::Watchlist(Choice::Search);
        let change = ViewChange { id: "user".to_owned(), sequence: 2, event };
        assert!(step(Versioned::new(Stream::Watchlist), &[&change]).is_err());
    }
}
