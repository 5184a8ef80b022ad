use domain::opportunity::{AmendmentStanding, NoticeDetails};

use super::*;
use crate::fixture::{
    amended, awarded, deadline_changed, details, discovered, engagement_event, filing, recorded_event,
    unknown_aggregate_event, unreadable_event,
};

fn project(event: &RawEnvelope) -> Vec<AnalyticsChange> {
    OpportunityAnalytics::project(event).unwrap()
}

fn event_change(event: &RawEnvelope) -> AnalyticsChange {
    AnalyticsChange::Event(Box::new(EventRow::from_event(event)))
}

fn opportunity_row(event: &RawEnvelope, notice: &str, details: NoticeDetails) -> OpportunityRow {
    OpportunityRow::from_event(event, &filing(notice), details)
}

#[test]
fn a_discovery_writes_an_event_row_and_an_opportunity_row() {
    let event = recorded_event(1, &discovered("Patient lifts"));
    let row = opportunity_row(&event, "n1", details("Patient lifts"));
    assert_eq!(project(&event), [AnalyticsChange::Opportunity(Box::new(row)), event_change(&event)]);
}

#[test]
fn a_current_amendment_writes_the_opportunity_row_again() {
    let event = recorded_event(2, &amended("Lifts", AmendmentStanding::Current));
    let row = opportunity_row(&event, "n2", details("Lifts"));
    assert_eq!(project(&event), [AnalyticsChange::Opportunity(Box::new(row)), event_change(&event)]);
}

#[test]
fn an_earlier_notice_and_a_new_deadline_write_only_event_rows() {
    for event in [amended("Lifts", AmendmentStanding::Earlier), deadline_changed()] {
        let event = recorded_event(3, &event);
        assert_eq!(project(&event), [event_change(&event)]);
    }
}

#[test]
fn an_award_writes_an_event_row_and_an_award_row() {
    let event = recorded_event(4, &awarded("A1", 81_930_000));
    let OpportunityEvent::Awarded { key, award } = awarded("A1", 81_930_000) else { unreachable!() };
    let row = AwardRow::from_event(&event, key, award);
    assert_eq!(project(&event), [AnalyticsChange::Award(Box::new(row)), event_change(&event)]);
}

#[test]
fn an_event_of_an_unknown_aggregate_writes_an_event_row() {
    assert_eq!(project(&unknown_aggregate_event()), [event_change(&unknown_aggregate_event())]);
}

#[test]
fn an_event_that_cannot_be_decoded_is_poison() {
    assert!(matches!(OpportunityAnalytics::project(&unreadable_event()), Err(ProjectionError::Poison(_))));
}

#[test]
fn a_date_outside_the_range_of_the_column_is_left_out() {
    let mut details = details("x");
    details.archive_on = chrono::NaiveDate::from_ymd_opt(20_226, 3, 1);
    let event = recorded_event(1, &discovered("x"));
    let expected = opportunity_row(&event, "n1", NoticeDetails { archive_on: None, ..details.clone() });
    assert_eq!(opportunity_row(&event, "n1", details), expected);
}

#[test]
fn a_view_writes_an_event_row_and_an_engagement_row() {
    let event = engagement_event(
        "visit",
        "visit.page_viewed",
        r#"{"type":"page_viewed","page_url":"/","at":"2026-03-03T12:00:00Z"}"#,
    );
    let row = EngagementRow::from_event(&event).unwrap();
    assert_eq!(project(&event), [AnalyticsChange::Engagement(Box::new(row)), event_change(&event)]);
    let unreadable = OpportunityAnalytics::project(&engagement_event("visit", "visit.page_viewed", "{}"));
    assert!(matches!(unreadable, Err(ProjectionError::Poison(_))));
}
