//! The schema versions of the events of opportunities.

use serde_json::Value;

use crate::event_version::VersionHistory;

/// The version history of every event type of an opportunity.
pub(crate) const VERSION_HISTORIES: &[VersionHistory] = &[
    VersionHistory { event_type: "opportunity.discovered", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "opportunity.amended", current: "1.0", earlier: &[] },
    VersionHistory {
        event_type: "opportunity.deadline_changed",
        current: "1.1",
        earlier: &[("1.0", |fields| {
            // Version 1.0 has no publication time. The amendment before it has one, but is another event.
            fields.insert("posted_at".to_owned(), Value::Null);
        })],
    },
    VersionHistory { event_type: "opportunity.awarded", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "opportunity.cancelled", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "opportunity.archived", current: "1.0", earlier: &[] },
];
