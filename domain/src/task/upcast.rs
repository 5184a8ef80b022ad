//! The schema versions of the events of tasks.

use crate::event_version::VersionHistory;

/// The version history of every event type of a task.
pub(crate) const VERSION_HISTORIES: &[VersionHistory] = &[
    VersionHistory { event_type: "task.requested", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "task.started", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "task.progress_reported", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "task.completed", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "task.failed", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "task.cancelled", current: "1.0", earlier: &[] },
];
