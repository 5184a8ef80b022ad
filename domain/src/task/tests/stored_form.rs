//! Pins the stored JSON of every event in both directions. Changing an expectation changes the format of the log.

use serde_json::{Value, json};

use super::*;

fn assert_stored_form(event: &TaskEvent, mut stored: Value) {
    stored["stamp"] = json!({ "by": "ann", "at": "2026-03-03T12:00:00Z" });
    assert_eq!(serde_json::to_value(event).unwrap(), stored);
    assert_eq!(&serde_json::from_value::<TaskEvent>(stored).unwrap(), event);
}

#[test]
fn events_keep_their_stored_form() {
    let job = json!({
        "kind": "extract_text",
        "subject": { "kind": "document", "id": "d" },
        "parameters": [{ "name": "language", "value": "en" }],
    });
    assert_stored_form(&requested("d"), json!({ "type": "requested", "job": job }));
    assert_stored_form(&started("w", 2), json!({ "type": "started", "worker": "w", "attempt": 2 }));
    assert_stored_form(&reported(40), json!({ "type": "progress_reported", "percent": 40 }));
    assert_stored_form(&completed("x"), json!({ "type": "completed", "result": "x" }));
    let failure = json!({ "type": "failed", "attempt": 1, "reason": "no text", "retry": "later" });
    assert_stored_form(&failed(1, RetryDecision::Later), failure);
    assert_stored_form(&cancelled(), json!({ "type": "cancelled", "reason": "not needed" }));
}

#[test]
fn a_note_is_stored_with_the_progress() {
    let event =
        TaskEvent::ProgressReported { percent: ProgressPercent::ZERO, note: Some(note("page 3")), stamp: stamp() };
    assert_stored_form(&event, json!({ "type": "progress_reported", "percent": 0, "note": "page 3" }));
}
