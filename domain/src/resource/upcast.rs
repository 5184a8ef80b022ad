//! The schema versions of the events of resources.

use crate::event_version::VersionHistory;

/// The version history of every event type of a resource.
pub(crate) const VERSION_HISTORIES: &[VersionHistory] = &[
    VersionHistory { event_type: "resource.created", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "resource.updated", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "resource.deleted", current: "1.0", earlier: &[] },
];
