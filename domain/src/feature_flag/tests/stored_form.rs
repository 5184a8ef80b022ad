//! Pins the stored JSON of every event in both directions. Changing an expectation changes the format of the log.

use serde_json::json;

use super::*;

#[test]
fn events_keep_their_stored_form() {
    let stamp = json!({ "by": "ann", "at": "2026-03-03T12:00:00Z" });
    let variants = json!([{ "name": "control", "weight": 1 }, { "name": "b", "weight": 1 }]);
    for (event, stored) in [
        (
            defined(),
            json!({
                "type": "defined", "description": "Ranking of hits", "variants": variants, "enabled": false, "stamp": stamp
            }),
        ),
        (switched(true), json!({ "type": "switched", "enabled": true, "reason": "a trial", "stamp": stamp })),
        (
            changed(DEFINED),
            json!({ "type": "variants_changed", "variants": variants, "reason": "a trial", "stamp": stamp }),
        ),
        (
            is_set("acme", "b"),
            json!({ "type": "override_set", "tenant": "acme", "variant": "b", "reason": "a trial", "stamp": stamp }),
        ),
        (removed("acme"), json!({ "type": "override_removed", "tenant": "acme", "reason": "a trial", "stamp": stamp })),
        (archived(), json!({ "type": "archived", "reason": "a trial", "stamp": stamp })),
    ] {
        assert_eq!(serde_json::to_value(&event).unwrap(), stored);
        assert_eq!(serde_json::from_value::<FeatureFlagEvent>(stored).unwrap(), event);
    }
}
