//! The schema versions of the events of checklists.

use domain::event_version::VersionHistory;
use serde_json::Value;

/// The version history of every event type of a checklist.
pub(crate) const VERSION_HISTORIES: &[VersionHistory] = &[
    VersionHistory { event_type: "checklist.created", current: "1.0", earlier: &[] },
    VersionHistory {
        event_type: "checklist.item_ticked",
        current: "1.1",
        earlier: &[("1.0", |fields| {
            // Version 1.0 has no note.
            fields.insert("note".to_owned(), Value::Null);
        })],
    },
    VersionHistory { event_type: "checklist.closed", current: "1.0", earlier: &[] },
];
