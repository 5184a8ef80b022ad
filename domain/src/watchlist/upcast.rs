//! The versions that events of watchlists ever had.

use crate::event_version::VersionHistory;

/// Every event of a watchlist.
pub(crate) const VERSION_HISTORIES: &[VersionHistory] = &[
    VersionHistory { event_type: "watchlist.opportunity_saved", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "watchlist.opportunity_unsaved", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "watchlist.search_saved", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "watchlist.search_removed", current: "1.0", earlier: &[] },
];
