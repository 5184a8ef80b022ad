//! Tests of saved searches.

use super::*;
use crate::{opportunity::NaicsCode, value::InvalidValue};

pub(super) fn search_id(number: u128) -> SearchId {
    SearchId::new(uuid::Uuid::from_u128(number))
}

pub(super) fn search(name: &str) -> SavedSearch {
    let criteria = SearchCriteria {
        text: Some(SearchText::try_new("patient lifts").unwrap()),
        naics: [NaicsCode::try_new("339113").unwrap()].into(),
        ..SearchCriteria::default()
    };
    SavedSearch { name: SearchName::try_new(name).unwrap(), criteria, notify: NotificationFrequency::Daily }
}

pub(super) fn save_search(number: u128, name: &str) -> WatchlistCommand {
    WatchlistCommand::SaveSearch { search_id: search_id(number), search: search(name), at: march(3) }
}

pub(super) fn remove_search(number: u128) -> WatchlistCommand {
    WatchlistCommand::RemoveSearch { search_id: search_id(number), at: march(3) }
}

pub(super) fn search_saved(number: u128, name: &str) -> WatchlistEvent {
    WatchlistEvent::SearchSaved { search_id: search_id(number), search: search(name), at: march(3) }
}

pub(super) fn search_removed(number: u128) -> WatchlistEvent {
    WatchlistEvent::SearchRemoved { search_id: search_id(number), at: march(3) }
}

fn expect_events(given: &[WatchlistEvent], when: WatchlistCommand, then: Vec<WatchlistEvent>) {
    WatchlistScenario::with(()).given(given.to_vec()).when(when).then_expect_events(then);
}

#[test]
fn a_search_is_saved_changed_and_removed() {
    let given = [search_saved(1, "lifts")];
    expect_events(&[], save_search(1, "lifts"), vec![search_saved(1, "lifts")]);
    expect_events(&given, save_search(1, "ramps"), vec![search_saved(1, "ramps")]);
    expect_events(&given, remove_search(1), vec![search_removed(1)]);
}

#[test]
fn a_repeated_command_changes_nothing() {
    expect_events(&[search_saved(1, "lifts")], save_search(1, "lifts"), vec![]);
    expect_events(&[], remove_search(1), vec![]);
}

#[test]
fn two_searches_cannot_have_the_same_name() {
    let given = vec![search_saved(1, "lifts")];
    WatchlistScenario::with(()).given(given).when(save_search(2, "lifts")).then_expect_error(WatchlistError::NameTaken);
}

#[test]
fn the_number_of_searches_is_limited() {
    let given: Vec<_> =
        (0..MAX_SAVED_SEARCHES as u128).map(|number| search_saved(number, &format!("s{number}"))).collect();
    WatchlistScenario::with(())
        .given(given.clone())
        .when(save_search(1_000, "more"))
        .then_expect_error(WatchlistError::TooManySearches);
    expect_events(&given, save_search(1, "renamed"), vec![search_saved(1, "renamed")]);
}

#[test]
fn a_search_needs_a_criterion_and_has_a_limited_number_of_them() {
    assert_eq!(SearchCriteria::default().validate(), Err(InvalidValue::Empty { what: "search" }));
    let naics = (0..=MAX_CRITERIA).map(|number| NaicsCode::try_new(&format!("{number:06}")).unwrap()).collect();
    let invalid = SearchCriteria { naics, ..SearchCriteria::default() };
    assert_eq!(invalid.validate(), Err(InvalidValue::TooMany { what: "criteria", max: MAX_CRITERIA }));
    assert!(search("lifts").criteria.validate().is_ok());
}
