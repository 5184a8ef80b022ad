//! Folding a batch's events into the states that are stored.

use super::{
    ViewChange,
    figure_deltas::FigureDeltas,
    view_state::{StreamKind, ViewState},
};

/// A state and the sequence of the last event in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VersionedState {
    pub(super) version: u64,
    pub(super) state: ViewState,
}

impl VersionedState {
    /// Before the first event.
    pub(super) fn new(stream: StreamKind) -> Self {
        Self { version: 0, state: ViewState::new(stream) }
    }
}

/// What to write for one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StateTransition {
    /// The version it builds on.
    pub(super) from: u64,
    pub(super) to: VersionedState,
    pub(super) deltas: FigureDeltas,
}

/// Events that should come before the next one are missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "view {id} stands at version {stored}, but the next event has sequence {next}: events in between are missing, or its \
     key in Redis was lost; `medhub rebuild views` makes it anew"
)]
pub(super) struct ViewSequenceGap {
    id: String,
    stored: u64,
    next: u64,
}

/// Whether a state that is not stored may be one that was: visits expire, and of what they added to figures nothing has
/// to be known for the next step. All others are there as long as their stream is.
fn may_expire(state: &ViewState) -> bool {
    match state {
        ViewState::Visit(_) => true,
        ViewState::Opportunity(_) | ViewState::Watchlist(_) => false,
    }
}

/// Folds the events of one stream that are new to its stored state. `None` when all of them are known.
pub(super) fn fold_changes(
    stored: VersionedState,
    changes: &[&ViewChange],
) -> Result<Option<StateTransition>, ViewSequenceGap> {
    let (from, mut version, mut events) = (stored.version, stored.version, vec![]);
    for change in changes {
        if change.sequence <= version {
            continue;
        }
        if version == 0 && may_expire(&stored.state) {
            version = change.sequence - 1;
        }
        if change.sequence != version + 1 {
            return Err(ViewSequenceGap { id: change.id.clone(), stored: version, next: change.sequence });
        }
        version = change.sequence;
        events.push(&change.event);
    }
    if events.is_empty() {
        return Ok(None);
    }
    let mut state = stored.state;
    let deltas = state.evolve(events.into_iter());
    Ok(Some(StateTransition { from, to: VersionedState { version, state }, deltas }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opportunity_views::{
        ViewEvent,
        leaderboard::EngagementKind,
        view_change::{VisitEngagement, WatchlistChange},
    };

    fn page_viewed(sequence: u64) -> ViewChange {
        let day = "2026-03-01".parse().unwrap();
        let sight = VisitEngagement {
            kind: EngagementKind::Viewed,
            opportunity: Some("036:A".to_owned()),
            day,
            recorded_on: day,
        };
        ViewChange { id: "visit".to_owned(), sequence, event: ViewEvent::Visit(sight) }
    }

    #[test]
    fn a_visit_whose_key_was_lost_goes_on_and_counts_what_is_new() {
        let changes = [page_viewed(7), page_viewed(8)];
        let step =
            fold_changes(VersionedState::new(StreamKind::Visit), &changes.iter().collect::<Vec<_>>()).unwrap().unwrap();
        assert_eq!((step.from, step.to.version), (0, 8));
        assert!(step.deltas.iter().all(|(_, _, delta)| delta == 2));
    }

    #[test]
    fn events_missing_in_the_middle_of_a_visit_are_still_a_gap() {
        let known = VersionedState { version: 3, ..VersionedState::new(StreamKind::Visit) };
        assert!(fold_changes(known, &[&page_viewed(5)]).is_err());
        assert!(fold_changes(VersionedState::new(StreamKind::Visit), &[&page_viewed(5), &page_viewed(7)]).is_err());
    }

    #[test]
    fn nothing_else_is_ever_forgotten() {
        let event = ViewEvent::Watchlist(WatchlistChange::SearchChanged);
        let change = ViewChange { id: "user".to_owned(), sequence: 2, event };
        assert!(fold_changes(VersionedState::new(StreamKind::Watchlist), &[&change]).is_err());
    }
}
