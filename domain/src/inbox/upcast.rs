//! The schema versions of the events of inboxes.

use crate::event_version::VersionHistory;

/// The version history of every event type of an inbox.
pub(crate) const VERSION_HISTORIES: &[VersionHistory] = &[
    VersionHistory { event_type: "inbox.notified", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "inbox.read", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "inbox.all_read", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "inbox.dismissed", current: "1.0", earlier: &[] },
];
