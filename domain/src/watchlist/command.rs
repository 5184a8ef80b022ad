//! What can be asked of a watchlist.

use chrono::{DateTime, Utc};

use super::saved_search::{SavedSearch, SearchId};
use crate::opportunity::OpportunityId;

/// A wish about one user's watchlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchlistCommand {
    /// Keep an opportunity in view.
    Save {
        /// The opportunity.
        opportunity_id: OpportunityId,
        /// When.
        at: DateTime<Utc>,
    },
    /// Let go of it.
    Unsave {
        /// The opportunity.
        opportunity_id: OpportunityId,
        /// When.
        at: DateTime<Utc>,
    },
    /// Keep a search, or let a kept one search for something else.
    SaveSearch {
        /// Which search.
        search_id: SearchId,
        /// What it searches for.
        search: SavedSearch,
        /// When.
        at: DateTime<Utc>,
    },
    /// Let go of a search.
    RemoveSearch {
        /// Which search.
        search_id: SearchId,
        /// When.
        at: DateTime<Utc>,
    },
}
