use domain::opportunity::Facts;

use super::*;
use crate::fixture::{
    amended, awarded, broken, deadline_changed, discovered, engaged, facts, filing, foreign, recorded,
};

fn project(event: &RawRecorded) -> Vec<AnalyticsChange> {
    Analytics::project(event).unwrap()
}

fn fact(event: &RawRecorded) -> AnalyticsChange {
    AnalyticsChange::Fact(Box::new(FactRow::of(event)))
}

fn current(event: &RawRecorded, notice: &str, facts: Facts) -> OpportunityRow {
    let filing = filing(notice);
    OpportunityRow::of(event, &filing.notice_id, filing.posted_at, facts)
}

#[test]
fn a_discovery_is_a_fact_and_a_row_of_its_opportunity() {
    let event = recorded(1, &discovered("Patient lifts"));
    let row = current(&event, "n1", facts("Patient lifts"));
    assert_eq!(project(&event), [AnalyticsChange::Opportunity(Box::new(row)), fact(&event)]);
}

#[test]
fn a_current_amendment_replaces_the_row() {
    let event = recorded(2, &amended("Lifts", Standing::Current));
    let row = current(&event, "n2", facts("Lifts"));
    assert_eq!(project(&event), [AnalyticsChange::Opportunity(Box::new(row)), fact(&event)]);
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
    assert_eq!(project(&event), [AnalyticsChange::Award(Box::new(row)), fact(&event)]);
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
    let expected = current(&event, "n1", Facts { archive_on: None, ..facts.clone() });
    assert_eq!(current(&event, "n1", facts), expected);
}

#[test]
fn a_view_is_a_fact_and_a_row_of_engagement() {
    let event =
        engaged("visit", "visit.page_viewed", r#"{"type":"page_viewed","page_url":"/","at":"2026-03-03T12:00:00Z"}"#);
    let row = EngagementRow::of(&event).unwrap();
    assert_eq!(project(&event), [AnalyticsChange::Engagement(Box::new(row)), fact(&event)]);
    let unreadable = Analytics::project(&engaged("visit", "visit.page_viewed", "{}"));
    assert!(matches!(unreadable, Err(ProjectionError::Poison(_))));
}
