//! The versions that events of visits ever had.

use crate::event_version::VersionHistory;

/// Every event of a visit.
pub(crate) const VERSION_HISTORIES: &[VersionHistory] = &[
    VersionHistory { event_type: "visit.page_viewed", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "visit.link_clicked", current: "1.0", earlier: &[] },
];
