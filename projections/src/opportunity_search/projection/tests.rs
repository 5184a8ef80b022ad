use std::collections::BTreeMap;

use domain::opportunity::AmendmentStanding;

use super::{
    super::{desired_point::DesiredPoint, opportunity_document::PointPayload},
    *,
};
use crate::fixture::{
    OPPORTUNITY_ID, amended, awarded, deadline_changed, details, discovered, filing, recorded_event,
    unknown_aggregate_event, unreadable_event,
};

fn described_change(sequence: u64, title: &str, notice: &str) -> SearchChange {
    let event = recorded_event(sequence, &discovered(title));
    SearchChange::Described(Box::new(OpportunityDocument::from_event(&event, &filing(notice), details(title))))
}

fn awarded_change() -> SearchChange {
    SearchChange::Awarded { id: OPPORTUNITY_ID.to_owned() }
}

fn project(event: &RawEnvelope) -> Vec<SearchChange> {
    OpportunitySearch::project(event).unwrap()
}

#[test]
fn a_discovery_or_current_amendment_describes_the_opportunity() {
    assert_eq!(project(&recorded_event(1, &discovered("a"))), [described_change(1, "a", "n1")]);
    assert_eq!(
        project(&recorded_event(2, &amended("b", AmendmentStanding::Current))),
        [described_change(2, "b", "n2")]
    );
}

#[test]
fn an_award_only_marks_the_opportunity_as_awarded() {
    assert_eq!(project(&recorded_event(3, &awarded("A1", 1))), [awarded_change()]);
}

#[test]
fn events_that_change_no_current_fact_change_nothing() {
    for event in [
        recorded_event(3, &amended("b", AmendmentStanding::Earlier)),
        recorded_event(3, &deadline_changed()),
        unknown_aggregate_event(),
    ] {
        assert_eq!(project(&event), []);
    }
}

#[test]
fn an_event_that_cannot_be_decoded_is_poison() {
    assert!(matches!(OpportunitySearch::project(&unreadable_event()), Err(ProjectionError::Poison(_))));
}

#[test]
fn merged_changes_have_the_newest_facts_once() {
    let desired = merge_changes(&[
        described_change(1, "a", "n1"),
        awarded_change(),
        described_change(4, "c", "n1"),
        described_change(2, "b", "n2"),
    ]);
    let SearchChange::Described(newest) = described_change(4, "c", "n1") else { unreachable!() };
    assert_eq!(
        desired,
        BTreeMap::from([(OPPORTUNITY_ID.to_owned(), DesiredPoint { document: Some(newest), awarded: true })])
    );
}

#[test]
fn the_payload_has_the_fields_that_filters_use() {
    let event = recorded_event(1, &discovered("Lifts"));
    let payload = OpportunityDocument::from_event(&event, &filing("n1"), details("Lifts")).payload;
    let json = serde_json::to_value(&payload).unwrap();
    assert_eq!(json["agency_code"], "036");
    assert_eq!(json["naics_prefixes"], serde_json::json!(["33", "339", "3391", "33911", "339113"]));
    assert_eq!(json["posted_at"], "2026-03-03T12:17:50.808Z");
    assert_eq!(json["sequence"], 1);
    assert_eq!(json.get("response_deadline"), None);
    assert_eq!(serde_json::from_value::<PointPayload>(json).unwrap(), payload);
}
