//! Pins the stored JSON of every event in both directions. Changing an expectation changes the format of the log.

use serde_json::{Value, json};

use super::*;

fn assert_stored_form(event: &DocumentEvent, mut stored: Value) {
    stored["stamp"] = json!({ "by": "ann", "at": "2026-03-03T12:00:00Z" });
    assert_eq!(serde_json::to_value(event).unwrap(), stored);
    assert_eq!(&serde_json::from_value::<DocumentEvent>(stored).unwrap(), event);
}

#[test]
fn events_keep_their_stored_form() {
    let upload = json!({
        "file_name": "rfp.pdf", "media_type": "application/pdf", "bytes": 1024, "sha256": "ab".repeat(32),
        "object_key": "acme/documents/1", "opportunity_id": "036:36C10G26R0005",
    });
    assert_stored_form(&uploaded("rfp.pdf"), json!({ "type": "uploaded", "upload": upload }));
    let text = json!({ "text_key": "acme/texts/1", "pages": 12, "characters": 9000, "method": "native" });
    assert_stored_form(&extracted(12), json!({ "type": "text_extracted", "text": text }));
    let requirements = json!([{
        "number": "L.3.2", "kind": "obligation", "text": "The contractor shall deliver 200 lifts.", "page": 4,
    }]);
    assert_stored_form(&understood(), json!({ "type": "requirements_extracted", "requirements": requirements }));
    let analysis = json!({
        "summary": "Patient lifts for six hospitals.", "fit_score": 80,
        "fit_reasons": ["NAICS code 339112: 40 of 40 points"], "risks": ["A short time for delivery."], "model": "m 1",
    });
    assert_stored_form(&analysed("m 1"), json!({ "type": "analysed", "analysis": analysis }));
    assert_stored_form(
        &failed(ProcessingStage::Text),
        json!({ "type": "failed", "stage": "text", "reason": "no text" }),
    );
    assert_stored_form(&deleted(), json!({ "type": "deleted" }));
}
