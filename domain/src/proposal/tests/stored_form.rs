//! Pins the stored JSON of every event in both directions. Changing an expectation changes the format of the log.

use serde_json::{Value, json};

use super::*;

fn assert_stored_form(event: &ProposalEvent, by: &str, mut stored: Value) {
    stored["stamp"] = json!({ "by": by, "at": "2026-03-03T12:00:00Z" });
    assert_eq!(serde_json::to_value(event).unwrap(), stored);
    assert_eq!(&serde_json::from_value::<ProposalEvent>(stored).unwrap(), event);
}

#[test]
fn events_of_content_keep_their_stored_form() {
    let draft = json!({
        "type": "drafted", "opportunity_id": "036:36C10G26R0005", "title": "Lifts",
        "outline": [{ "key": "approach", "heading": "Approach" }],
    });
    assert_stored_form(&drafted("Lifts"), "ann", draft);
    let section = json!({
        "type": "section_edited", "section": "approach", "heading": "Approach", "content": "We deliver.", "revision": 1,
    });
    assert_stored_form(&edited("approach", "We deliver.", 1), "ann", section);
    assert_stored_form(&removed("approach"), "ann", json!({ "type": "section_removed", "section": "approach" }));
    let id = "00000000-0000-0000-0000-000000000001";
    let comment = json!({ "type": "commented", "comment_id": id, "section": "approach", "text": "More." });
    assert_stored_form(&commented(1, Some("approach"), "More."), "bob", comment);
    let comment = json!({ "type": "commented", "comment_id": id, "text": "More." });
    assert_stored_form(&commented(1, None, "More."), "bob", comment);
    assert_stored_form(&resolved(1), "ann", json!({ "type": "comment_resolved", "comment_id": id }));
}

#[test]
fn events_of_phases_keep_their_stored_form() {
    assert_stored_form(&in_review(), "ann", json!({ "type": "submitted_for_review" }));
    assert_stored_form(&approved(), "bob", json!({ "type": "approved" }));
    assert_stored_form(&rejected(), "bob", json!({ "type": "rejected", "note": "Say more about delivery." }));
    assert_stored_form(&submitted(), "ann", json!({ "type": "submitted" }));
    let outcome = json!({ "verdict": "won", "amount": 81_930_000 });
    assert_stored_form(&decided(won()), "ann", json!({ "type": "decided", "outcome": outcome }));
    assert_stored_form(&decided(lost()), "ann", json!({ "type": "decided", "outcome": { "verdict": "lost" } }));
    assert_stored_form(&withdrawn(), "ann", json!({ "type": "withdrawn", "reason": "no staff" }));
}
