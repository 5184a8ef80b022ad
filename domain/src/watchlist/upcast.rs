//! The schema versions of the events of watchlists.

use crate::event_version::VersionHistory;

/// The version history of every event type of a watchlist.
pub(crate) const VERSION_HISTORIES: &[VersionHistory] = &[
    VersionHistory { event_type: "watchlist.opportunity_saved", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "watchlist.opportunity_unsaved", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "watchlist.search_saved", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "watchlist.search_removed", current: "1.0", earlier: &[] },
];
