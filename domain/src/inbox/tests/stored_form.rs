//! Pins the stored JSON of every event in both directions. Changing an expectation changes the format of the log.

use serde_json::{Value, json};

use super::*;

const ONE: &str = "00000000-0000-0000-0000-000000000001";

fn assert_stored_form(event: &InboxEvent, mut stored: Value) {
    stored["stamp"] = json!({ "by": "ann", "at": "2026-03-03T12:00:00Z" });
    assert_eq!(serde_json::to_value(event).unwrap(), stored);
    assert_eq!(&serde_json::from_value::<InboxEvent>(stored).unwrap(), event);
}

fn stored_notification() -> Value {
    json!({
        "notification_id": ONE,
        "kind": "opportunity_matched",
        "title": "Patient lifts",
        "body": "It fits your profile.",
    })
}

#[test]
fn notified_keeps_its_stored_form() {
    assert_stored_form(&notified(1, 0), json!({ "type": "notified", "notification": stored_notification() }));
    let whole = Notification {
        link: Some(NotificationLink::try_new("/opportunities/036:36C10G26R0005").unwrap()),
        about: Some(NotificationTopic::try_new("036:36C10G26R0005").unwrap()),
        ..notification(1)
    };
    let mut stored = stored_notification();
    stored["link"] = json!("/opportunities/036:36C10G26R0005");
    stored["about"] = json!("036:36C10G26R0005");
    assert_stored_form(
        &InboxEvent::Notified { notification: whole, stamp: stamp(0) },
        json!({ "type": "notified", "notification": stored }),
    );
}

#[test]
fn the_stored_names_of_notification_kinds_are_pinned() {
    let names: Vec<_> = NotificationKind::ALL.iter().map(|kind| serde_json::to_value(kind).unwrap()).collect();
    assert_eq!(
        names,
        [
            "opportunity_matched",
            "opportunity_changed",
            "document_analysed",
            "proposal_changed",
            "proposal_generated",
            "task_finished",
            "system",
        ]
    );
}

#[test]
fn read_keeps_its_stored_form() {
    let stored = json!({ "type": "read", "notification_ids": [ONE, "00000000-0000-0000-0000-000000000002"] });
    assert_stored_form(&read(&[1, 2], 0), stored);
}

#[test]
fn all_read_keeps_its_stored_form() {
    assert_stored_form(&all_read(0), json!({ "type": "all_read" }));
}

#[test]
fn dismissed_keeps_its_stored_form() {
    assert_stored_form(&dismissed(1, 0), json!({ "type": "dismissed", "notification_id": ONE }));
}

#[test]
fn a_stored_event_is_not_validated_again() {
    let stored = format!(
        r#"{{"type":"notified","notification":{{"notification_id":"{ONE}","kind":"system","title":"","body":"\u0000","link":"https://x"}},"stamp":{{"by":"","at":"2026-03-03T12:00:00Z"}}}}"#
    );
    let event = crate::upcast::decode_event::<InboxEvent>("inbox.notified", "1.0", &stored).unwrap();
    assert_eq!(serde_json::to_string(&event).unwrap(), stored);
}
