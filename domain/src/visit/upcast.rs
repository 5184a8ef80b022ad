//! The schema versions of the events of visits.

use crate::event_version::VersionHistory;

/// The version history of every event type of a visit.
pub(crate) const VERSION_HISTORIES: &[VersionHistory] = &[
    VersionHistory { event_type: "visit.page_viewed", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "visit.link_clicked", current: "1.0", earlier: &[] },
];
