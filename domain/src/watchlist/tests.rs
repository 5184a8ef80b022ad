//! Tests of a watchlist: given events, when a command, then events or a refusal.

mod invariants;
mod searches;
mod stored_form;

use chrono::{DateTime, Utc};
use cqrs_es::test::TestFramework;

use super::*;

type WatchlistScenario = TestFramework<Watchlist>;

#[test]
fn an_opportunity_is_saved() {
    WatchlistScenario::with(())
        .given_no_previous_events()
        .when(save("036:A", 3))
        .then_expect_events(vec![saved("036:A", 3)]);
}

#[test]
fn saving_a_saved_opportunity_changes_nothing() {
    WatchlistScenario::with(()).given(vec![saved("036:A", 3)]).when(save("036:A", 4)).then_expect_events(vec![]);
}

#[test]
fn a_saved_opportunity_is_unsaved() {
    WatchlistScenario::with(())
        .given(vec![saved("036:A", 3)])
        .when(unsave("036:A", 4))
        .then_expect_events(vec![unsaved("036:A", 4)]);
}

#[test]
fn unsaving_an_opportunity_that_is_not_saved_changes_nothing() {
    WatchlistScenario::with(()).given(vec![saved("036:A", 3)]).when(unsave("036:B", 4)).then_expect_events(vec![]);
}

#[test]
fn an_unsaved_opportunity_can_be_saved_again() {
    WatchlistScenario::with(())
        .given(vec![saved("036:A", 3), unsaved("036:A", 4)])
        .when(save("036:A", 5))
        .then_expect_events(vec![saved("036:A", 5)]);
}

#[test]
fn a_full_watchlist_refuses_another_opportunity() {
    WatchlistScenario::with(()).given(full()).when(save("036:ONEMORE", 4)).then_expect_error(WatchlistError::Full);
}

#[test]
fn saving_a_saved_opportunity_of_a_full_watchlist_changes_nothing() {
    WatchlistScenario::with(()).given(full()).when(save("036:7", 4)).then_expect_events(vec![]);
}

#[test]
fn a_full_watchlist_accepts_another_opportunity_after_one_was_unsaved() {
    let mut events = full();
    events.push(unsaved("036:7", 4));
    WatchlistScenario::with(())
        .given(events)
        .when(save("036:ONEMORE", 5))
        .then_expect_events(vec![saved("036:ONEMORE", 5)]);
}

fn full() -> Vec<WatchlistEvent> {
    (0..MAX_SAVED_OPPORTUNITIES).map(|number| saved(&format!("036:{number}"), 3)).collect()
}

fn id(text: &str) -> OpportunityId {
    OpportunityId::parse(text).unwrap()
}

fn march(day: u32) -> DateTime<Utc> {
    format!("2026-03-{day:02}T12:00:00Z").parse().unwrap()
}

fn save(opportunity: &str, day: u32) -> WatchlistCommand {
    WatchlistCommand::Save { opportunity_id: id(opportunity), at: march(day) }
}

fn unsave(opportunity: &str, day: u32) -> WatchlistCommand {
    WatchlistCommand::Unsave { opportunity_id: id(opportunity), at: march(day) }
}

fn saved(opportunity: &str, day: u32) -> WatchlistEvent {
    WatchlistEvent::OpportunitySaved { opportunity_id: id(opportunity), at: march(day) }
}

fn unsaved(opportunity: &str, day: u32) -> WatchlistEvent {
    WatchlistEvent::OpportunityUnsaved { opportunity_id: id(opportunity), at: march(day) }
}
