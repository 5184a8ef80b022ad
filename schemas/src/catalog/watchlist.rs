//! The events of watchlists.

use super::{EventSchema, event};

pub(super) fn schemas() -> Vec<EventSchema> {
    vec![
        event!("watchlist", "opportunity_saved", "1.0", "OpportunitySaved"),
        event!("watchlist", "opportunity_unsaved", "1.0", "OpportunityUnsaved"),
        event!("watchlist", "search_saved", "1.0", "SearchSaved"),
        event!("watchlist", "search_removed", "1.0", "SearchRemoved"),
    ]
}
