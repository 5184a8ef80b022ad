//! Folds the events of a batch into stored states.

use super::{
    ViewChange,
    counters::{CountedProperties, count_transition},
    figure_deltas::FigureDeltas,
    key_shard::KeyShard,
    view_state::{StateKind, ViewState},
};
use crate::storage::redis::{SequenceGap, VersionedState};

/// The write of one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ViewTransition {
    /// The stored version that the transition builds on.
    pub(super) from: u64,
    pub(super) to: VersionedState<ViewState>,
    pub(super) deltas: FigureDeltas,
}

/// The state of a stream or of a part before its first event.
pub(super) fn empty_state(kind: StateKind) -> VersionedState<ViewState> {
    VersionedState { version: 0, state: ViewState::new(kind) }
}

/// Folds the events of one stream that the stored state of this kind does not have yet; `None` if it has all of them.
///
/// A part has the events of its shard only, so its versions have gaps; those of the whole stream have none.
pub(super) fn fold_changes(
    (kind, shard): (StateKind, KeyShard),
    stored: VersionedState<ViewState>,
    changes: &[&ViewChange],
) -> Result<Option<ViewTransition>, SequenceGap> {
    let VersionedState { version: from, mut state } = stored;
    let before = state.counted_properties().map(CountedProperties::into_owned);
    let (mut version, mut deltas) = (from, FigureDeltas::default());
    for change in changes {
        if change.sequence <= version || (kind.is_part() && !change.event.is_counted_in(shard)) {
            continue;
        }
        if kind.is_part() || (version == 0 && kind.may_expire()) {
            version = change.sequence - 1;
        }
        if change.sequence != version + 1 {
            let stream = format!("view {}", change.id);
            return Err(SequenceGap { read_model: "views", stream, stored: version, next: change.sequence });
        }
        version = change.sequence;
        // The parts of a stream change the figures, each in its own slot.
        state.evolve(&change.event, kind.part().is_none().then_some(&mut deltas));
    }
    if version == from {
        return Ok(None);
    }
    count_transition(shard, before.as_ref(), state.counted_properties().as_ref(), &mut deltas);
    Ok(Some(ViewTransition { from, to: VersionedState { version, state }, deltas: deltas.into_sums() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opportunity_views::{
        ViewEvent,
        engagement_kind::EngagementKind,
        view_change::{VisitEngagement, WatchlistChange},
    };

    fn page_viewed(sequence: u64) -> ViewChange {
        let day = "2026-03-01".parse().unwrap();
        let engagement = VisitEngagement {
            kind: EngagementKind::Viewed,
            opportunity: Some("036:A".to_owned()),
            day,
            recorded_on: day,
        };
        ViewChange { id: "visit".to_owned(), sequence, event: ViewEvent::Visit(engagement) }
    }

    fn stream(kind: StateKind) -> (StateKind, KeyShard) {
        (kind, KeyShard::for_id("036:A"))
    }

    #[test]
    fn a_visit_whose_key_expired_continues_and_counts_only_new_events() {
        let changes = [page_viewed(7), page_viewed(8)];
        let fold =
            |kind| fold_changes(stream(kind), empty_state(kind), &changes.iter().collect::<Vec<_>>()).unwrap().unwrap();
        let (whole, part) = (fold(StateKind::Visit), fold(StateKind::VisitPart));
        assert_eq!((whole.from, whole.to.version, whole.deltas), (0, 8, FigureDeltas::default()));
        assert_eq!((part.from, part.to.version, part.deltas.iter().count()), (0, 8, 3));
        assert!(part.deltas.iter().all(|sum| sum.delta == 2));
    }

    #[test]
    fn events_missing_in_the_middle_of_a_visit_are_a_gap() {
        let visit = stream(StateKind::Visit);
        let stored = VersionedState { version: 3, ..empty_state(StateKind::Visit) };
        assert!(fold_changes(visit, stored, &[&page_viewed(5)]).is_err());
        assert!(fold_changes(visit, empty_state(StateKind::Visit), &[&page_viewed(5), &page_viewed(7)]).is_err());
    }

    #[test]
    fn a_part_folds_only_the_events_of_its_shard() {
        let changes = [page_viewed(5), page_viewed(7)];
        let changes: Vec<_> = changes.iter().collect();
        let part = |version| VersionedState { version, ..empty_state(StateKind::VisitPart) };
        let transition = fold_changes(stream(StateKind::VisitPart), part(3), &changes).unwrap().unwrap();
        assert_eq!((transition.from, transition.to.version), (3, 7));
        assert_eq!(fold_changes(stream(StateKind::VisitPart), part(7), &changes), Ok(None));
        let other = KeyShard::all().find(|shard| *shard != KeyShard::for_id("036:A")).unwrap();
        assert_eq!(fold_changes((StateKind::VisitPart, other), part(0), &changes), Ok(None));
    }

    #[test]
    fn a_watchlist_without_its_first_event_is_a_gap() {
        let event = ViewEvent::Watchlist(WatchlistChange::SearchChanged);
        let change = ViewChange { id: "user".to_owned(), sequence: 2, event };
        let watchlist = stream(StateKind::Watchlist);
        assert!(fold_changes(watchlist, empty_state(StateKind::Watchlist), &[&change]).is_err());
    }
}
