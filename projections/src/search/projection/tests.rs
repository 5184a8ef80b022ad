use std::collections::BTreeMap;

use super::{
    super::{document::PointPayload, fold::Wish},
    *,
};
use crate::fixture::{ID, amended, awarded, broken, deadline_changed, discovered, facts, filing, foreign, recorded};

fn described(sequence: u64, title: &str, notice: &str) -> SearchChange {
    let event = recorded(sequence, &discovered(title));
    SearchChange::Described(Box::new(Document::of(&event, &filing(notice), facts(title))))
}

fn an_award() -> SearchChange {
    SearchChange::Awarded { id: ID.to_owned() }
}

fn project(event: &RawRecorded) -> Vec<SearchChange> {
    Search::project(event).unwrap()
}

#[test]
fn whole_facts_describe_the_opportunity() {
    assert_eq!(project(&recorded(1, &discovered("a"))), [described(1, "a", "n1")]);
    assert_eq!(project(&recorded(2, &amended("b", Standing::Current))), [described(2, "b", "n2")]);
}

#[test]
fn an_award_only_marks_the_opportunity() {
    assert_eq!(project(&recorded(3, &awarded("A1", 1))), [an_award()]);
}

#[test]
fn events_that_change_no_current_fact_change_nothing() {
    for event in [recorded(3, &amended("b", Standing::Earlier)), recorded(3, &deadline_changed()), foreign()] {
        assert_eq!(project(&event), []);
    }
}

#[test]
fn an_event_of_an_unknown_shape_is_poison() {
    assert!(matches!(Search::project(&broken()), Err(ProjectionError::Poison(_))));
}

#[test]
fn a_batch_asks_for_the_newest_facts_once() {
    let wishes = fold(&[described(1, "a", "n1"), an_award(), described(4, "c", "n1"), described(2, "b", "n2")]);
    let SearchChange::Described(newest) = described(4, "c", "n1") else { unreachable!() };
    assert_eq!(wishes, BTreeMap::from([(ID.to_owned(), Wish { document: Some(newest), awarded: true })]));
}

#[test]
fn the_payload_says_what_filters_ask_for() {
    let event = recorded(1, &discovered("Lifts"));
    let payload = Document::of(&event, &filing("n1"), facts("Lifts")).payload;
    let json = serde_json::to_value(&payload).unwrap();
    assert_eq!(json["agency_code"], "036");
    assert_eq!(json["naics_prefixes"], serde_json::json!(["33", "339", "3391", "33911", "339113"]));
    assert_eq!(json["posted_at"], "2026-03-03T12:17:50.808Z");
    assert_eq!(json["sequence"], 1);
    assert_eq!(json.get("response_deadline"), None);
    assert_eq!(serde_json::from_value::<PointPayload>(json).unwrap(), payload);
}
