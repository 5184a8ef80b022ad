//! Pins the stored JSON of every event in both directions. Changing an expectation changes the format of the log.

use serde_json::{Value, json};

use super::*;

fn assert_stored_form(event: &ResourceEvent, stored: &Value) {
    assert_eq!(&serde_json::to_value(event).unwrap(), stored);
    assert_eq!(&serde_json::from_value::<ResourceEvent>(stored.clone()).unwrap(), event);
}

fn stored_asset() -> Value {
    json!({
        "name": "a",
        "kind": "past_performance",
        "body": "Delivered 200 patient lifts.",
        "tags": ["lifts", "va"],
    })
}

fn stored_stamp() -> Value {
    json!({ "by": "ann", "at": "2026-03-03T12:00:00Z" })
}

#[test]
fn created_keeps_its_stored_form() {
    let mut content = stored_asset();
    content["document_id"] = json!("01890a5d-ac96-774b-bcce-b302099a8057");
    assert_stored_form(
        &ResourceEvent::Created { content: with_document("a"), stamp: stamp() },
        &json!({ "type": "created", "asset": content, "stamp": stored_stamp() }),
    );
}

#[test]
fn updated_keeps_its_stored_form() {
    assert_stored_form(&updated("a"), &json!({ "type": "updated", "asset": stored_asset(), "stamp": stored_stamp() }));
}

#[test]
fn deleted_keeps_its_stored_form() {
    assert_stored_form(&deleted(), &json!({ "type": "deleted", "stamp": stored_stamp() }));
}
