use domain::opportunity::Facts;

use super::*;
use crate::fixture::{amended, awarded, broken, deadline_changed, discovered, facts, filing, foreign, recorded};

fn project(event: &RawRecorded) -> Vec<AnalyticsChange> {
    Analytics::project(event).unwrap()
}

fn fact(event: &RawRecorded) -> AnalyticsChange {
    AnalyticsChange::Fact(Box::new(FactRow::of(event)))
}

#[test]
fn a_discovery_is_a_fact_and_a_row_of_its_opportunity() {
    let event = recorded(1, &discovered("Patient lifts"));
    let row = OpportunityRow::of(&event, &filing("n1"), facts("Patient lifts"));
    assert_eq!(project(&event), [fact(&event), AnalyticsChange::Opportunity(Box::new(row))]);
}

#[test]
fn a_current_amendment_replaces_the_row() {
    let event = recorded(2, &amended("Lifts", Standing::Current));
    let row = OpportunityRow::of(&event, &filing("n2"), facts("Lifts"));
    assert_eq!(project(&event), [fact(&event), AnalyticsChange::Opportunity(Box::new(row))]);
}

#[test]
fn an_earlier_notice_and_a_new_deadline_are_facts_only() {
    for event in [amended("Lifts", Standing::Earlier), deadline_changed()] {
        let event = recorded(3, &event);
        assert_eq!(project(&event), [fact(&event)]);
    }
}

#[test]
fn an_award_is_a_fact_and_a_row_of_its_own() {
    let event = recorded(4, &awarded("A1", 81_930_000));
    let OpportunityEvent::Awarded { key, award } = awarded("A1", 81_930_000) else { unreachable!() };
    let row = AwardRow::of(&event, key, award);
    assert_eq!(project(&event), [fact(&event), AnalyticsChange::Award(Box::new(row))]);
}

#[test]
fn an_event_of_an_unknown_aggregate_is_a_fact_all_the_same() {
    assert_eq!(project(&foreign()), [fact(&foreign())]);
}

#[test]
fn an_event_of_an_unknown_shape_is_poison() {
    assert!(matches!(Analytics::project(&broken()), Err(ProjectionError::Poison(_))));
}

#[test]
fn a_date_that_the_column_cannot_hold_is_left_out() {
    let mut facts = facts("x");
    facts.archive_on = chrono::NaiveDate::from_ymd_opt(20_226, 3, 1);
    let event = recorded(1, &discovered("x"));
    let expected = OpportunityRow::of(&event, &filing("n1"), Facts { archive_on: None, ..facts.clone() });
    assert_eq!(OpportunityRow::of(&event, &filing("n1"), facts), expected);
}

#[test]
fn a_batch_is_named_by_its_events() {
    let one = FactRow::of(&recorded(1, &discovered("x")));
    let two = FactRow::of(&recorded(2, &discovered("x")));
    assert_eq!(batch_token(&[&one, &two]), batch_token(&[&one, &two]));
    assert_ne!(batch_token(&[&one, &two]), batch_token(&[&one]));
    assert_eq!(batch_token(&[]), None);
}
