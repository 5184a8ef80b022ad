use domain::opportunity::{Opportunity, OpportunityEvent, Standing};

use super::{
    super::{
        counter::deltas,
        fold::{Versioned, fold},
        view::{OpportunityView, Status},
    },
    *,
};
use crate::fixture::{ID, amended, awarded, broken, discovered, foreign, recorded};

fn change(sequence: u64, event: OpportunityEvent) -> ViewChange {
    ViewChange { id: ID.to_owned(), sequence, event }
}

fn history() -> Vec<ViewChange> {
    let events = [discovered("a"), amended("b", Standing::Current), awarded("A1", 5), awarded("A2", 7)];
    (1..).zip(events).map(|(sequence, event)| change(sequence, event)).collect()
}

fn folded(changes: &[ViewChange]) -> Versioned {
    let changes: Vec<_> = changes.iter().collect();
    fold(&Versioned::default(), &changes).unwrap().unwrap().to
}

#[test]
fn every_event_of_an_opportunity_is_a_change() {
    let event = awarded("A1", 5);
    assert_eq!(Views::project(&recorded(3, &event)).unwrap(), [change(3, event)]);
    assert_eq!(Views::project(&foreign()).unwrap(), []);
}

#[test]
fn an_event_of_an_unknown_shape_is_poison() {
    assert!(matches!(Views::project(&broken()), Err(ProjectionError::Poison(_))));
}

#[test]
fn folding_in_batches_is_folding_at_once() {
    let history = history();
    let half = folded(&history[..2]);
    let rest: Vec<_> = history[2..].iter().collect();
    assert_eq!(fold(&half, &rest).unwrap().unwrap().to, folded(&history));
}

#[test]
fn events_that_are_known_change_nothing() {
    let history = history();
    let stored = folded(&history);
    assert_eq!(fold(&stored, &history.iter().collect::<Vec<_>>()), Ok(None));
    let again: Vec<_> = history[..1].iter().chain(&history[..2]).collect();
    assert_eq!(fold(&Versioned::default(), &again).unwrap().unwrap().to.version, 2);
}

#[test]
fn a_missing_event_is_noticed() {
    let history = history();
    let gap = fold(&folded(&history[..1]), &[&history[2]]).unwrap_err();
    assert_eq!(
        gap.to_string(),
        format!("view {ID} stands at version 1, but the next event has sequence 3: events in between are missing")
    );
}

#[test]
fn counters_move_by_the_difference_of_the_states() {
    let history = history();
    let (open, won) = (folded(&history[..2]).state, folded(&history[..3]).state);
    let owned = |pairs: &[(&str, i64)]| pairs.iter().map(|(name, delta)| ((*name).to_owned(), *delta)).collect();
    let first: BTreeMap<String, i64> =
        owned(&[("total", 1), ("agency:036", 1), ("type:Solicitation", 1), ("status:open", 1)]);
    assert_eq!(deltas(&Opportunity::default(), &open), first);
    assert_eq!(deltas(&open, &won), owned(&[("status:open", -1), ("status:awarded", 1)]));
    assert_eq!(deltas(&won, &won), owned(&[]));
}

#[test]
fn a_view_shows_what_is_on_record() {
    let stored = folded(&history());
    let view = OpportunityView::of(ID, stored.version, &stored.state).unwrap();
    assert_eq!((view.version, view.status, view.notice_count), (4, Status::Awarded, 2));
    assert_eq!((view.facts.title.as_str(), view.awarded_cents), ("b", Some(12)));
    assert_eq!(view.awards.keys().collect::<Vec<_>>(), ["A1", "A2"]);
    assert_eq!(OpportunityView::of(ID, 0, &Opportunity::default()), None);
}
