//! Pins the stored JSON of every event in both directions. Changing an expectation changes the format of the log.

use serde_json::{Value, json};

use super::*;

fn assert_stored_form(event: &CompanyEvent, mut stored: Value) {
    stored["stamp"] = json!({ "by": "ann", "at": "2026-03-03T12:00:00Z" });
    assert_eq!(serde_json::to_value(event).unwrap(), stored);
    assert_eq!(&serde_json::from_value::<CompanyEvent>(stored).unwrap(), event);
}

fn profile_changed() -> CompanyEvent {
    CompanyEvent::ProfileChanged { profile: Box::new(profile()), stamp: stamp() }
}

#[test]
fn events_keep_their_stored_form() {
    assert_stored_form(&registered("Acme"), json!({ "type": "registered", "name": "Acme", "founder": "ann" }));
    let profile = json!({
        "name": "Acme Medical", "capabilities": "Patient lifts.", "naics": ["339113"], "set_asides": ["SDVOSBC"],
        "uei": "ABCDEFGHJ123",
    });
    assert_stored_form(&profile_changed(), json!({ "type": "profile_changed", "profile": profile }));
    let bob = |kind: &str| json!({ "type": kind, "user": "bob", "role": "viewer" });
    assert_stored_form(&added("bob", Role::Viewer), bob("member_added"));
    assert_stored_form(&changed("bob", Role::Viewer), bob("role_changed"));
    assert_stored_form(&removed("bob"), json!({ "type": "member_removed", "user": "bob" }));
    let id = "00000000-0000-0000-0000-000000000001";
    let key = json!({ "key_id": id, "name": "ci", "hash": "ab".repeat(32), "scopes": ["read", "ingest"] });
    assert_stored_form(&issued(1, "ci"), json!({ "type": "api_key_issued", "key": key }));
    assert_stored_form(&revoked(1), json!({ "type": "api_key_revoked", "key_id": id }));
    assert_stored_form(&closed(), json!({ "type": "closed", "reason": "merged" }));
}
