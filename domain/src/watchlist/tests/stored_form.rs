//! Pins the stored JSON of every event in both directions. Changing an expectation changes the format of the log.

use serde_json::{Value, json};

use super::*;

fn assert_stored_form(event: &WatchlistEvent, stored: &Value) {
    assert_eq!(&serde_json::to_value(event).unwrap(), stored);
    assert_eq!(&serde_json::from_value::<WatchlistEvent>(stored.clone()).unwrap(), event);
}

#[test]
fn opportunity_saved_keeps_its_stored_form() {
    assert_stored_form(
        &saved("036:36C10G26R0005", 3),
        &json!({ "type": "opportunity_saved", "opportunity_id": "036:36C10G26R0005", "at": "2026-03-03T12:00:00Z" }),
    );
}

#[test]
fn opportunity_unsaved_keeps_its_stored_form() {
    assert_stored_form(
        &unsaved("036:36C10G26R0005", 3),
        &json!({ "type": "opportunity_unsaved", "opportunity_id": "036:36C10G26R0005", "at": "2026-03-03T12:00:00Z" }),
    );
}

#[test]
fn search_saved_and_removed_keep_their_stored_form() {
    let (id, at) = ("00000000-0000-0000-0000-000000000001", "2026-03-03T12:00:00Z");
    let criteria = json!({ "text": "patient lifts", "agencies": [], "naics": ["339113"], "set_asides": [] });
    let search = json!({ "name": "lifts", "criteria": criteria, "notify": "daily" });
    assert_stored_form(
        &searches::search_saved(1, "lifts"),
        &json!({ "type": "search_saved", "search_id": id, "search": search, "at": at }),
    );
    assert_stored_form(&searches::search_removed(1), &json!({ "type": "search_removed", "search_id": id, "at": at }));
}
