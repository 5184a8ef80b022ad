//! The schema versions of the events of documents.

use crate::event_version::VersionHistory;

/// The version history of every event type of a document.
pub(crate) const VERSION_HISTORIES: &[VersionHistory] = &[
    VersionHistory { event_type: "document.uploaded", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "document.text_extracted", current: "1.0", earlier: &[] },
    VersionHistory {
        event_type: "document.requirements_extracted",
        current: "1.1",
        // Version 1.1 has more kinds of requirement.
        earlier: &[("1.0", |_| {})],
    },
    VersionHistory { event_type: "document.analysed", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "document.failed", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "document.deleted", current: "1.0", earlier: &[] },
];
