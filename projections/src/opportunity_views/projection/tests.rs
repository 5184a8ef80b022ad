use domain::opportunity::{AmendmentStanding, Opportunity, OpportunityEvent};
use serde_json::json;

use super::{
    super::{
        engagement_kind::EngagementKind,
        figure_deltas::{FigureDeltas, FigureKey},
        key_shard::KeyShard,
        opportunity_view::{OpportunityView, OpportunityViewStatus},
        view_change::{ViewEvent, VisitEngagement, WatchlistChange},
        view_state::ViewState,
        view_transition::{ViewTransition, empty_state, fold_changes},
    },
    *,
};
use crate::fixture::{
    OPPORTUNITY_ID, amended, awarded, discovered, recorded_event, unknown_aggregate_event, unreadable_event,
};
use crate::storage::redis::{SequenceGap, VersionedState};

fn change(sequence: u64, event: OpportunityEvent) -> ViewChange {
    ViewChange { id: OPPORTUNITY_ID.to_owned(), sequence, event: ViewEvent::Opportunity(event) }
}

fn history() -> Vec<ViewChange> {
    let events = [discovered("a"), amended("b", AmendmentStanding::Current), awarded("A1", 5), awarded("A2", 7)];
    (1..).zip(events).map(|(sequence, event)| change(sequence, event)).collect()
}

fn shard() -> KeyShard {
    KeyShard::for_id(OPPORTUNITY_ID)
}

fn transition(
    stored: VersionedState<ViewState>,
    changes: &[ViewChange],
) -> Result<Option<ViewTransition>, SequenceGap> {
    fold_changes((StateKind::Opportunity, shard()), stored, &changes.iter().collect::<Vec<_>>())
}

fn folded_state(changes: &[ViewChange]) -> VersionedState<ViewState> {
    transition(empty_state(StateKind::Opportunity), changes).unwrap().unwrap().to
}

fn sums(deltas: &FigureDeltas) -> Vec<(String, String, i64)> {
    deltas.iter().map(|sum| (sum.key.to_string(), sum.field.to_string(), sum.delta)).collect()
}

fn counters(pairs: &[(&str, i64)]) -> Vec<(String, String, i64)> {
    let key = FigureKey::Counters(shard()).to_string();
    pairs.iter().map(|(field, delta)| (key.clone(), (*field).to_owned(), *delta)).collect()
}

fn raw_engagement_event(aggregate_type: &str, payload: &serde_json::Value) -> RawEnvelope {
    let aggregate_type = aggregate_type.to_owned();
    RawEnvelope { aggregate_type, payload: payload.to_string(), ..recorded_event(3, &discovered("x")) }
}

#[test]
fn every_event_of_an_opportunity_is_a_change() {
    let event = awarded("A1", 5);
    assert_eq!(OpportunityViews::project(&recorded_event(3, &event)).unwrap(), [change(3, event)]);
    assert_eq!(OpportunityViews::project(&unknown_aggregate_event()).unwrap(), []);
}

#[test]
fn views_clicks_and_saves_are_changes() {
    let (at, day) = ("2026-03-03T23:00:00Z", "2026-03-03".parse().unwrap());
    let page_viewed =
        json!({"type": "page_viewed", "page_url": "https://x", "opportunity_id": OPPORTUNITY_ID, "at": at});
    let clicked_in_future = json!({"type": "link_clicked", "page_url": "https://x", "at": "2999-01-01T00:00:00Z"});
    let saved = json!({"type": "opportunity_saved", "opportunity_id": OPPORTUNITY_ID, "at": at});
    let event = |raw: RawEnvelope| OpportunityViews::project(&raw).unwrap().pop().unwrap().event;
    let recorded_on = "2026-03-04".parse().unwrap();

    let engagement = VisitEngagement {
        kind: EngagementKind::Viewed,
        opportunity: Some(OPPORTUNITY_ID.to_owned()),
        day,
        recorded_on,
    };
    assert_eq!(event(raw_engagement_event("visit", &page_viewed)), ViewEvent::Visit(engagement));
    // A time in the future, from a wrong clock of the visitor, is replaced by the time of recording.
    let engagement =
        VisitEngagement { kind: EngagementKind::Clicked, opportunity: None, day: recorded_on, recorded_on };
    assert_eq!(event(raw_engagement_event("visit", &clicked_in_future)), ViewEvent::Visit(engagement));
    let watchlist_change = WatchlistChange::Saved { opportunity: OPPORTUNITY_ID.to_owned(), at: at.parse().unwrap() };
    assert_eq!(event(raw_engagement_event("watchlist", &saved)), ViewEvent::Watchlist(watchlist_change));
}

#[test]
fn an_event_that_cannot_be_decoded_is_poison() {
    assert!(matches!(OpportunityViews::project(&unreadable_event()), Err(ProjectionError::Poison(_))));
    let unknown = raw_engagement_event("visit", &json!({"type": "unknown_event"}));
    assert!(matches!(OpportunityViews::project(&unknown), Err(ProjectionError::Poison(_))));
}

#[test]
fn folding_in_batches_gives_the_same_state_as_folding_at_once() {
    let history = history();
    let half = folded_state(&history[..2]);
    assert_eq!(transition(half, &history[2..]).unwrap().unwrap().to, folded_state(&history));
}

#[test]
fn events_that_were_applied_before_change_nothing() {
    let history = history();
    assert_eq!(transition(folded_state(&history), &history), Ok(None));
    let with_repeats = [&history[..1], &history[..2]].concat();
    assert_eq!(transition(empty_state(StateKind::Opportunity), &with_repeats).unwrap().unwrap().to.version, 2);
}

#[test]
fn a_missing_event_is_an_error() {
    let history = history();
    let gap = transition(folded_state(&history[..1]), &history[2..]).unwrap_err();
    let expected = format!(
        "view {OPPORTUNITY_ID} is at version 1, but the next event has sequence 3: events in between are missing"
    );
    assert!(gap.to_string().starts_with(&expected), "{gap}");
}

#[test]
fn counters_change_by_the_difference_of_the_states() {
    let history = history();
    let first = transition(empty_state(StateKind::Opportunity), &history[..2]).unwrap().unwrap();
    let expected = counters(&[("agency:036", 1), ("status:open", 1), ("total", 1), ("type:Solicitation", 1)]);
    assert_eq!(sums(&first.deltas), expected);
    let second = transition(first.to, &history[2..3]).unwrap().unwrap();
    assert_eq!(sums(&second.deltas), counters(&[("status:awarded", 1), ("status:open", -1)]));
    let third = transition(second.to, &history[3..]).unwrap().unwrap();
    assert_eq!(third.deltas, FigureDeltas::default());
}

#[test]
fn unsaving_an_opportunity_subtracts_it_from_the_day_on_which_it_was_saved() {
    let watchlist_changes = [
        WatchlistChange::Saved { opportunity: OPPORTUNITY_ID.to_owned(), at: "2026-03-03T23:00:00Z".parse().unwrap() },
        WatchlistChange::Saved { opportunity: OPPORTUNITY_ID.to_owned(), at: "2026-03-09T23:00:00Z".parse().unwrap() },
        WatchlistChange::Unsaved { opportunity: OPPORTUNITY_ID.to_owned() },
        WatchlistChange::Unsaved { opportunity: "097:NEVER".to_owned() },
    ];
    let changes: Vec<_> = (1..)
        .zip(watchlist_changes)
        .map(|(sequence, change)| ViewChange { id: "ann".to_owned(), sequence, event: ViewEvent::Watchlist(change) })
        .collect();

    let fold = |kind, stored, changes: &[ViewChange]| {
        fold_changes((kind, shard()), stored, &changes.iter().collect::<Vec<_>>()).unwrap().unwrap()
    };
    let part = StateKind::WatchlistPart;
    let saved = fold(part, empty_state(part), &changes[..2]);
    let sum = |key: &str, field: &str, delta| (format!("{{{}}}:{key}", shard()), field.to_owned(), delta);
    let expected_sums = |delta| {
        let engagement = format!("engagement:{OPPORTUNITY_ID}");
        vec![
            sum(&engagement, "saved", delta),
            sum("top:saved", OPPORTUNITY_ID, delta),
            sum("top:saved:2026-03-03", OPPORTUNITY_ID, delta),
        ]
    };
    assert_eq!(sums(&saved.deltas), expected_sums(1));
    let unsaved = fold(part, saved.to, &changes[2..]);
    assert_eq!((sums(&unsaved.deltas), unsaved.to.version), (expected_sums(-1), 3));
    // The state of the whole watchlist has all events and changes no figures.
    let whole = fold(StateKind::Watchlist, empty_state(StateKind::Watchlist), &changes);
    assert_eq!((sums(&whole.deltas), whole.to.version), (vec![], 4));
}

#[test]
fn a_view_has_the_facts_of_the_current_notice_and_all_awards() {
    let ViewState::Opportunity(state) = folded_state(&history()).state else { panic!("not an opportunity") };
    let view = OpportunityView::from_state(OPPORTUNITY_ID, 4, &state).unwrap();
    assert_eq!((view.version, view.status, view.notice_count), (4, OpportunityViewStatus::Awarded, 2));
    assert_eq!((view.details.title.as_str(), view.awarded_cents), ("b", Some(12)));
    assert_eq!(view.awards.keys().collect::<Vec<_>>(), ["A1", "A2"]);
    assert_eq!(OpportunityView::from_state(OPPORTUNITY_ID, 0, &Opportunity::default()), None);
}
