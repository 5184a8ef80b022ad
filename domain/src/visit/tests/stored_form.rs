//! Pins the stored JSON of every event in both directions. Changing an expectation changes the format of the log.

use serde_json::{Value, json};

use super::*;

fn assert_stored_form(event: &VisitEvent, stored: &Value) {
    assert_eq!(&serde_json::to_value(event).unwrap(), stored);
    assert_eq!(&serde_json::from_value::<VisitEvent>(stored.clone()).unwrap(), event);
}

fn user() -> UserId {
    UserId::try_new("ann").unwrap()
}

fn opportunity() -> Option<OpportunityId> {
    OpportunityId::parse("036:36C10G26R0005")
}

#[test]
fn page_viewed_keeps_its_stored_form() {
    assert_stored_form(
        &VisitEvent::PageViewed {
            page_url: url("/opportunities/036:36C10G26R0005"),
            referrer: Some(url("/search?q=lifts")),
            user_id: Some(user()),
            opportunity_id: opportunity(),
            at: start(),
        },
        &json!({
            "type": "page_viewed",
            "page_url": "/opportunities/036:36C10G26R0005",
            "referrer": "/search?q=lifts",
            "user_id": "ann",
            "opportunity_id": "036:36C10G26R0005",
            "at": "2026-03-03T12:00:00Z",
        }),
    );
    assert_stored_form(
        &viewed("/", 0),
        &json!({ "type": "page_viewed", "page_url": "/", "at": "2026-03-03T12:00:00Z" }),
    );
}

#[test]
fn link_clicked_keeps_its_stored_form() {
    assert_stored_form(
        &VisitEvent::LinkClicked {
            page_url: url("/opportunities/036:36C10G26R0005"),
            target_url: Some(url("https://sam.gov/opp/n1/view")),
            user_id: Some(user()),
            opportunity_id: opportunity(),
            at: start(),
        },
        &json!({
            "type": "link_clicked",
            "page_url": "/opportunities/036:36C10G26R0005",
            "target_url": "https://sam.gov/opp/n1/view",
            "user_id": "ann",
            "opportunity_id": "036:36C10G26R0005",
            "at": "2026-03-03T12:00:00Z",
        }),
    );
    assert_stored_form(
        &click("/", None, 0).into(),
        &json!({ "type": "link_clicked", "page_url": "/", "at": "2026-03-03T12:00:00Z" }),
    );
}

#[test]
fn a_stored_event_is_not_validated_again() {
    let stored = r#"{"type":"page_viewed","page_url":"","user_id":"a\nb","at":"2026-03-03T12:00:00Z"}"#;
    let event = crate::upcast::decode_event::<VisitEvent>("visit.page_viewed", "1.0", stored).unwrap();
    assert_eq!(serde_json::to_string(&event).unwrap(), stored);
}
