//! Pins the stored JSON of every event in both directions. Changing an expectation changes the format of the log.

use serde_json::{Value, json};

use super::*;

fn assert_stored_form(event: &ProposalGenerationEvent, mut stored: Value) {
    stored["stamp"] = json!({ "by": "ann", "at": "2026-03-03T12:00:00Z" });
    assert_eq!(serde_json::to_value(event).unwrap(), stored);
    assert_eq!(&serde_json::from_value::<ProposalGenerationEvent>(stored).unwrap(), event);
}

#[test]
fn events_keep_their_stored_form() {
    let request = json!({
        "proposal_id": PROPOSAL,
        "opportunity_id": "036:R5",
        "sections": [
            { "key": "a", "heading": "a", "based_on": 0, "in_proposal": false },
            { "key": "b", "heading": "b", "based_on": 0, "in_proposal": false },
        ],
        "prompt": { "name": "proposal-section", "version": "1" },
        "assignments": [{ "experiment": "prompt", "variant": "control" }],
    });
    assert_stored_form(&requested(), json!({ "type": "requested", "request": request }));
    let draft = json!({
        "sentences": [{ "text": "x", "sources": [1], "starts_paragraph": true }],
        "sources": [{ "number": 1, "kind": "document", "id": "d", "title": "plan.pdf", "page": 4 }],
    });
    let model = json!({
        "provider": "extractive",
        "model": "quotations",
        "model_version": "1",
        "prompt": { "name": "proposal-section", "version": "1" },
        "input_tokens": 10,
        "output_tokens": 5,
        "tokens_estimated": true,
        "cost_micros": 0,
        "latency_ms": 7,
        "failed_providers": [],
    });
    let section =
        json!({ "type": "section_generated", "section": "a", "heading": "a", "draft": draft, "model": model });
    assert_stored_form(&generated("a", "x"), section);
    let failed_section = json!({ "type": "section_failed", "section": "a", "reason": "429", "cost_micros": 12 });
    assert_stored_form(&section_failed("a"), failed_section);
    assert_stored_form(&completed(), json!({ "type": "completed" }));
    assert_stored_form(&failed(), json!({ "type": "failed", "reason": "no provider" }));
    assert_stored_form(&cancelled(), json!({ "type": "cancelled", "reason": "not needed" }));
    assert_stored_form(&rated(UserRating::Helpful), json!({ "type": "rated", "rating": "helpful" }));
}

#[test]
fn optional_fields_are_left_out() {
    let rated = ProposalGenerationEvent::Rated {
        rating: UserRating::Unhelpful,
        note: Some(RatingNote::try_new("no prices").unwrap()),
        stamp: stamp(),
    };
    assert_stored_form(&rated, json!({ "type": "rated", "rating": "unhelpful", "note": "no prices" }));
    let source = SourceReference { page: None, ..source(2) };
    let stored = json!({ "number": 2, "kind": "document", "id": "d", "title": "plan.pdf" });
    assert_eq!(serde_json::to_value(&source).unwrap(), stored);
    assert_eq!(serde_json::from_value::<SourceReference>(stored).unwrap(), source);
}
