//! Pins the stored JSON of every event in both directions. Changing an expectation changes the format of the log.

use serde_json::{Value, json};

use super::*;

fn assert_stored_form(event: &OpportunityEvent, stored: &Value) {
    assert_eq!(&serde_json::to_value(event).unwrap(), stored);
    assert_eq!(&serde_json::from_value::<OpportunityEvent>(stored.clone()).unwrap(), event);
}

fn details() -> Value {
    json!({
        "title": "Patient lifts",
        "notice_type": "Solicitation",
        "agency": { "code": "036", "name": "VETERANS AFFAIRS, DEPARTMENT OF" },
        "solicitation_number": "36C10G26R0005",
        "psc": "6530",
        "active": true,
    })
}

fn filing() -> Value {
    json!({
        "notice_id": "n1",
        "source": "sam_csv",
        "posted_at": "2026-03-03T12:00:00Z",
        "digest": notice("n1", 3).digest(),
    })
}

#[test]
fn discovered_keeps_its_stored_form() {
    assert_stored_form(
        &first(&notice("n1", 3)),
        &json!({ "type": "discovered", "filing": filing(), "facts": details() }),
    );
}

#[test]
fn amended_keeps_its_stored_form() {
    assert_stored_form(
        &amended(&notice("n1", 3), AmendmentStanding::Earlier),
        &json!({ "type": "amended", "filing": filing(), "standing": "earlier", "facts": details() }),
    );
}

#[test]
fn deadline_changed_keeps_its_stored_form() {
    assert_stored_form(
        &OpportunityEvent::DeadlineChanged {
            notice_id: NoticeId::try_new("n1").unwrap(),
            from: None,
            to: Some(march(9)),
            posted_at: Some(march(4)),
        },
        &json!({
            "type": "deadline_changed", "notice_id": "n1", "from": null, "to": "2026-03-09T12:00:00Z",
            "posted_at": "2026-03-04T12:00:00Z",
        }),
    );
}

#[test]
fn deadline_changed_1_0_is_still_decoded() {
    let stored = r#"{"type":"deadline_changed","notice_id":"n1","from":null,"to":"2026-03-09T12:00:00Z"}"#;
    assert_eq!(
        crate::upcast::decode_event::<OpportunityEvent>("opportunity.deadline_changed", "1.0", stored).unwrap(),
        OpportunityEvent::DeadlineChanged {
            notice_id: NoticeId::try_new("n1").unwrap(),
            from: None,
            to: Some(march(9)),
            posted_at: None,
        }
    );
}

#[test]
fn cancelled_and_archived_keep_their_stored_form() {
    let stamp = json!({ "by": "ann", "at": "2026-03-09T12:00:00Z" });
    assert_stored_form(&cancelled(), &json!({ "type": "cancelled", "reason": "no funds", "stamp": stamp }));
    assert_stored_form(&archived(), &json!({ "type": "archived", "stamp": stamp }));
}

#[test]
fn awarded_keeps_its_stored_form() {
    assert_stored_form(
        &awarded("n1", "W1"),
        &json!({
            "type": "awarded",
            "key": "n1",
            "award": {
                "number": "W1", "date": "2026-03-02", "amount": 1_000_000, "awardee": "Ridgeway Mobility LLC",
            },
        }),
    );
}

#[test]
fn the_digest_of_a_notice_is_pinned() {
    assert_eq!(notice("n1", 3).digest(), "586ce452054c52f8133c352d01ed4ab7");
}
