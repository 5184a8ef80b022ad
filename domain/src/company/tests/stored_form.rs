//! The stored JSON of every event, both ways. A change here is a change of the log.

use cqrs_es::DomainEvent;
use serde_json::{Value, json};

use super::*;

fn keeps_its_form(event: &CompanyEvent, mut stored: Value) {
    stored["stamp"] = json!({ "by": "ann", "at": "2026-03-03T12:00:00Z" });
    assert_eq!(serde_json::to_value(event).unwrap(), stored);
    assert_eq!(&serde_json::from_value::<CompanyEvent>(stored).unwrap(), event);
}

fn profile_changed() -> CompanyEvent {
    CompanyEvent::ProfileChanged { profile: Box::new(profile()), stamp: stamp() }
}

#[test]
fn events_keep_their_stored_form() {
    keeps_its_form(&registered("Acme"), json!({ "type": "registered", "name": "Acme", "founder": "ann" }));
    let profile = json!({
        "name": "Acme Medical", "capabilities": "Patient lifts.", "naics": ["339113"], "set_asides": ["SDVOSBC"],
        "uei": "ABCDEFGHJ123",
    });
    keeps_its_form(&profile_changed(), json!({ "type": "profile_changed", "profile": profile }));
    let bob = |kind: &str| json!({ "type": kind, "user": "bob", "role": "viewer" });
    keeps_its_form(&added("bob", Role::Viewer), bob("member_added"));
    keeps_its_form(&changed("bob", Role::Viewer), bob("role_changed"));
    keeps_its_form(&removed("bob"), json!({ "type": "member_removed", "user": "bob" }));
    let id = "00000000-0000-0000-0000-000000000001";
    let key = json!({ "key_id": id, "name": "ci", "hash": "ab".repeat(32), "scopes": ["read", "ingest"] });
    keeps_its_form(&issued(1, "ci"), json!({ "type": "api_key_issued", "key": key }));
    keeps_its_form(&revoked(1), json!({ "type": "api_key_revoked", "key_id": id }));
    keeps_its_form(&closed(), json!({ "type": "closed", "reason": "merged" }));
}

#[test]
fn every_event_is_recorded_in_the_current_version_of_its_lineage() {
    let all = [
        registered("a"),
        profile_changed(),
        added("b", Role::Viewer),
        changed("b", Role::Admin),
        removed("b"),
        issued(1, "k"),
        revoked(1),
        closed(),
    ];
    let recorded = all.map(|event| (event.event_type(), event.event_version()));
    let current = LINEAGES.iter().map(|lineage| (lineage.event_type.to_owned(), lineage.current.to_owned()));
    assert_eq!(current.collect::<Vec<_>>(), recorded);
}
