//! Tests of a visit: given events, when a command, then events or a refusal.

mod invariants;
mod stored_form;

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::test::TestFramework;

use super::*;
use crate::{opportunity::OpportunityId, value::UserId};

type VisitScenario = TestFramework<Visit>;

#[test]
fn a_visit_may_begin_with_a_view() {
    VisitScenario::with(()).given_no_previous_events().when(view("/a", 0)).then_expect_events(vec![viewed("/a", 0)]);
}

#[test]
fn a_visit_may_begin_with_a_click() {
    let click = click("/a", Some("/b"), 0);
    VisitScenario::with(()).given_no_previous_events().when(click.clone()).then_expect_events(vec![click.into()]);
}

#[test]
fn the_same_page_at_another_time_is_another_view() {
    VisitScenario::with(()).given(vec![viewed("/a", 0)]).when(view("/a", 1)).then_expect_events(vec![viewed("/a", 1)]);
}

#[test]
fn times_are_truncated_to_microseconds() {
    let (truncated, exact) = (start(), start() + TimeDelta::nanoseconds(999));
    let view = |at| VisitCommand::View(RecordView { at, ..plain_view("/a") });
    VisitScenario::with(())
        .given_no_previous_events()
        .when(view(exact))
        .then_expect_events(vec![VisitEvent::from(view(truncated))]);
}

#[test]
fn an_event_carries_all_fields_of_its_command() {
    let (user, opportunity) = (UserId::try_new("ann").unwrap(), OpportunityId::parse("036:36C10G26R0005").unwrap());
    let command = VisitCommand::View(RecordView {
        page_url: url("/a"),
        referrer: Some(url("https://search.example/")),
        user_id: Some(user.clone()),
        opportunity_id: Some(opportunity.clone()),
        at: start(),
    });
    VisitScenario::with(()).given_no_previous_events().when(command).then_expect_events(vec![VisitEvent::PageViewed {
        page_url: url("/a"),
        referrer: Some(url("https://search.example/")),
        user_id: Some(user),
        opportunity_id: Some(opportunity),
        at: start(),
    }]);
}

#[test]
fn totals_have_counts_and_the_first_and_last_time() {
    let state = fold_events(&[viewed("/a", 5), click("/a", Some("/b"), 7).into(), viewed("/b", 3)]);
    let totals = state.totals().unwrap();
    assert_eq!((totals.views, totals.clicks), (2, 1));
    assert_eq!((totals.first_at, totals.last_at), (second(3), second(7)));
}

fn fold_events(events: &[VisitEvent]) -> Visit {
    let mut state = Visit::default();
    for event in events {
        state.evolve(event);
    }
    state
}

fn start() -> DateTime<Utc> {
    "2026-03-03T12:00:00Z".parse().unwrap()
}

fn second(second: i64) -> DateTime<Utc> {
    start() + TimeDelta::seconds(second)
}

fn url(text: &str) -> VisitUrl {
    VisitUrl::try_new(text).unwrap()
}

fn plain_view(page: &str) -> RecordView {
    RecordView { page_url: url(page), referrer: None, user_id: None, opportunity_id: None, at: start() }
}

fn view(page: &str, at: i64) -> VisitCommand {
    VisitCommand::View(RecordView { at: second(at), ..plain_view(page) })
}

fn viewed(page: &str, at: i64) -> VisitEvent {
    view(page, at).into()
}

fn click(page: &str, target: Option<&str>, at: i64) -> VisitCommand {
    VisitCommand::Click(RecordClick {
        page_url: url(page),
        target_url: target.map(url),
        user_id: None,
        opportunity_id: None,
        at: second(at),
    })
}
