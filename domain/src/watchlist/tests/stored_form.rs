//! The stored JSON of every event, both ways. A change here is a change of the log.

use cqrs_es::DomainEvent;
use serde_json::{Value, json};

use super::*;

fn keeps_its_form(event: &WatchlistEvent, stored: &Value) {
    assert_eq!(&serde_json::to_value(event).unwrap(), stored);
    assert_eq!(&serde_json::from_value::<WatchlistEvent>(stored.clone()).unwrap(), event);
}

#[test]
fn opportunity_saved_keeps_its_stored_form() {
    keeps_its_form(
        &saved("036:36C10G26R0005", 3),
        &json!({ "type": "opportunity_saved", "opportunity_id": "036:36C10G26R0005", "at": "2026-03-03T12:00:00Z" }),
    );
}

#[test]
fn opportunity_unsaved_keeps_its_stored_form() {
    keeps_its_form(
        &unsaved("036:36C10G26R0005", 3),
        &json!({ "type": "opportunity_unsaved", "opportunity_id": "036:36C10G26R0005", "at": "2026-03-03T12:00:00Z" }),
    );
}

#[test]
fn every_event_is_recorded_in_the_current_version_of_its_lineage() {
    let recorded = [saved("036:A", 3), unsaved("036:A", 3)].map(|event| (event.event_type(), event.event_version()));
    let current = LINEAGES.iter().map(|lineage| (lineage.event_type.to_owned(), lineage.current.to_owned()));
    assert_eq!(current.collect::<Vec<_>>(), recorded);
}
