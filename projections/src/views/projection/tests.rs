use domain::opportunity::{Opportunity, OpportunityEvent, Standing};
use serde_json::json;

use super::{
    super::{
        change::{Choice, Sight, ViewEvent},
        delta::{Deltas, Target},
        leaderboard::Engaged,
        step::{Gap, Step, Versioned, step},
        stream::State,
        view::{OpportunityView, Status},
    },
    *,
};
use crate::fixture::{ID, amended, awarded, broken, discovered, foreign, recorded};

fn change(sequence: u64, event: OpportunityEvent) -> ViewChange {
    ViewChange { id: ID.to_owned(), sequence, event: ViewEvent::Opportunity(event) }
}

fn history() -> Vec<ViewChange> {
    let events = [discovered("a"), amended("b", Standing::Current), awarded("A1", 5), awarded("A2", 7)];
    (1..).zip(events).map(|(sequence, event)| change(sequence, event)).collect()
}

fn stepped(stored: Versioned, changes: &[ViewChange]) -> Result<Option<Step>, Gap> {
    step(stored, &changes.iter().collect::<Vec<_>>())
}

fn nothing() -> Versioned {
    Versioned::new(Stream::Opportunity)
}

fn folded(changes: &[ViewChange]) -> Versioned {
    stepped(nothing(), changes).unwrap().unwrap().to
}

fn sums(deltas: &Deltas) -> Vec<(String, String, i64)> {
    deltas.iter().map(|(target, field, delta)| (target.key(), field.to_owned(), delta)).collect()
}

fn counters(pairs: &[(&str, i64)]) -> Vec<(String, String, i64)> {
    let key = Target::Counters.key();
    pairs.iter().map(|(field, delta)| (key.clone(), (*field).to_owned(), *delta)).collect()
}

fn engagement(aggregate_type: &str, payload: &serde_json::Value) -> RawRecorded {
    let aggregate_type = aggregate_type.to_owned();
    RawRecorded { aggregate_type, payload: payload.to_string(), ..recorded(3, &discovered("x")) }
}

#[test]
fn every_event_of_an_opportunity_is_a_change() {
    let event = awarded("A1", 5);
    assert_eq!(Views::project(&recorded(3, &event)).unwrap(), [change(3, event)]);
    assert_eq!(Views::project(&foreign()).unwrap(), []);
}

#[test]
fn views_clicks_and_saves_are_changes() {
    let (at, day) = ("2026-03-03T23:00:00Z", "2026-03-03".parse().unwrap());
    let seen = json!({"type": "page_viewed", "page_url": "https://x", "opportunity_id": ID, "at": at});
    let ahead = json!({"type": "link_clicked", "page_url": "https://x", "at": "2999-01-01T00:00:00Z"});
    let kept = json!({"type": "opportunity_saved", "opportunity_id": ID, "at": at});
    let event = |raw: RawRecorded| Views::project(&raw).unwrap().pop().unwrap().event;
    let recorded_on = "2026-03-04".parse().unwrap();

    let sight = Sight { kind: Engaged::Viewed, opportunity: Some(ID.to_owned()), day, recorded_on };
    assert_eq!(event(engagement("visit", &seen)), ViewEvent::Visit(sight));
    // What a visitor's clock says of the future is as of when it was recorded.
    let sight = Sight { kind: Engaged::Clicked, opportunity: None, day: recorded_on, recorded_on };
    assert_eq!(event(engagement("visit", &ahead)), ViewEvent::Visit(sight));
    let choice = Choice::Saved { opportunity: ID.to_owned(), at: at.parse().unwrap() };
    assert_eq!(event(engagement("watchlist", &kept)), ViewEvent::Watchlist(choice));
}

#[test]
fn an_event_of_an_unknown_shape_is_poison() {
    assert!(matches!(Views::project(&broken()), Err(ProjectionError::Poison(_))));
    let odd = engagement("visit", &json!({"type": "page_eaten"}));
    assert!(matches!(Views::project(&odd), Err(ProjectionError::Poison(_))));
}

#[test]
fn folding_in_batches_is_folding_at_once() {
    let history = history();
    let half = folded(&history[..2]);
    assert_eq!(stepped(half, &history[2..]).unwrap().unwrap().to, folded(&history));
}

#[test]
fn events_that_are_known_change_nothing() {
    let history = history();
    assert_eq!(stepped(folded(&history), &history), Ok(None));
    let again = [&history[..1], &history[..2]].concat();
    assert_eq!(stepped(nothing(), &again).unwrap().unwrap().to.version, 2);
}

#[test]
fn a_missing_event_is_noticed() {
    let history = history();
    let gap = stepped(folded(&history[..1]), &history[2..]).unwrap_err();
    let told =
        format!("view {ID} stands at version 1, but the next event has sequence 3: events in between are missing");
    assert!(gap.to_string().starts_with(&told), "{gap}");
}

#[test]
fn counters_move_by_the_difference_of_the_states() {
    let history = history();
    let first = stepped(nothing(), &history[..2]).unwrap().unwrap();
    let wanted = counters(&[("agency:036", 1), ("status:open", 1), ("total", 1), ("type:Solicitation", 1)]);
    assert_eq!(sums(&first.deltas), wanted);
    let second = stepped(first.to, &history[2..3]).unwrap().unwrap();
    assert_eq!(sums(&second.deltas), counters(&[("status:awarded", 1), ("status:open", -1)]));
    let third = stepped(second.to, &history[3..]).unwrap().unwrap();
    assert_eq!(third.deltas, Deltas::default());
}

#[test]
fn what_is_no_longer_saved_is_taken_from_the_day_on_which_it_was() {
    let choices = [
        Choice::Saved { opportunity: ID.to_owned(), at: "2026-03-03T23:00:00Z".parse().unwrap() },
        Choice::Saved { opportunity: ID.to_owned(), at: "2026-03-09T23:00:00Z".parse().unwrap() },
        Choice::Unsaved { opportunity: ID.to_owned() },
        Choice::Unsaved { opportunity: "097:NEVER".to_owned() },
    ];
    let changes: Vec<_> = (1..)
        .zip(choices)
        .map(|(sequence, choice)| ViewChange { id: "ann".to_owned(), sequence, event: ViewEvent::Watchlist(choice) })
        .collect();

    let kept = stepped(Versioned::new(Stream::Watchlist), &changes[..2]).unwrap().unwrap();
    let one = |key: &str, field: &str, delta| (key.to_owned(), field.to_owned(), delta);
    let moved = |delta| {
        let engagement = format!("engagement:{ID}");
        vec![one(&engagement, "saved", delta), one("top:saved", ID, delta), one("top:saved:2026-03-03", ID, delta)]
    };
    assert_eq!(sums(&kept.deltas), moved(1));
    let gone = stepped(kept.to, &changes[2..]).unwrap().unwrap();
    assert_eq!((sums(&gone.deltas), gone.to.version), (moved(-1), 4));
}

#[test]
fn a_view_shows_what_is_on_record() {
    let State::Opportunity(state) = folded(&history()).state else { panic!("not an opportunity") };
    let view = OpportunityView::of(ID, 4, &state).unwrap();
    assert_eq!((view.version, view.status, view.notice_count), (4, Status::Awarded, 2));
    assert_eq!((view.facts.title.as_str(), view.awarded_cents), ("b", Some(12)));
    assert_eq!(view.awards.keys().collect::<Vec<_>>(), ["A1", "A2"]);
    assert_eq!(OpportunityView::of(ID, 0, &Opportunity::default()), None);
}
