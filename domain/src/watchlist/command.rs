//! The commands of a watchlist.

use chrono::{DateTime, Utc};

use super::saved_search::{SavedSearch, SearchId};
use crate::opportunity::OpportunityId;

/// A command for one user's watchlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchlistCommand {
    /// Saves an opportunity.
    Save {
        /// The opportunity.
        opportunity_id: OpportunityId,
        /// When.
        at: DateTime<Utc>,
    },
    /// Removes a saved opportunity.
    Unsave {
        /// The opportunity.
        opportunity_id: OpportunityId,
        /// When.
        at: DateTime<Utc>,
    },
    /// Saves a search, or replaces a saved one.
    SaveSearch {
        /// Which search.
        search_id: SearchId,
        /// What it searches for.
        search: SavedSearch,
        /// When.
        at: DateTime<Utc>,
    },
    /// Removes a saved search.
    RemoveSearch {
        /// Which search.
        search_id: SearchId,
        /// When.
        at: DateTime<Utc>,
    },
}
